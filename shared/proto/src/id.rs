//! The ids in requests, which the field rules hold to `format: UUID`.

use uuid::Uuid;

use crate::validate::Violation;

/// The id in `field`.
///
/// # Errors
///
/// When it is no UUID.
pub(crate) fn required(field: &str, value: &str) -> Result<Uuid, Violation> {
    Uuid::try_parse(value).map_err(|_| Violation {
        field: field.to_owned(),
        description: "must be a UUID".to_owned(),
    })
}

/// The id in `field`; none when it is empty.
///
/// # Errors
///
/// When it is no UUID.
pub(crate) fn optional(field: &str, value: &str) -> Result<Option<Uuid>, Violation> {
    match value {
        "" => Ok(None),
        id => required(field, id).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::product::UpdateInventoryRequest;

    #[test]
    fn a_request_gives_its_ids_and_names_the_field_that_has_none() {
        let id = Uuid::now_v7();
        let mut request = UpdateInventoryRequest {
            product_id: id.to_string(),
            ..Default::default()
        };
        assert_eq!(request.product_id(), Ok(id));
        assert_eq!(request.reservation_id(), Ok(None));
        request.reservation_id = id.to_string();
        assert_eq!(request.reservation_id(), Ok(Some(id)));

        request.product_id = String::new();
        request.reservation_id = "7".to_owned();
        let told = |violation: crate::validate::Violation| violation.to_string();
        let product = request.product_id().map_err(told);
        assert_eq!(product.unwrap_err(), "product_id must be a UUID");
        let reservation = request.reservation_id().map_err(told);
        assert_eq!(reservation.unwrap_err(), "reservation_id must be a UUID");
    }
}
