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

    use crate::cart::ClearCartRequest;

    #[test]
    fn a_request_gives_its_ids_and_names_the_field_that_has_none() {
        let id = Uuid::now_v7();
        let mut request = ClearCartRequest {
            user_id: id.to_string(),
            ..Default::default()
        };
        assert_eq!(request.user_id(), Ok(id));
        assert_eq!(request.order_id(), Ok(None));
        request.order_id = id.to_string();
        assert_eq!(request.order_id(), Ok(Some(id)));

        request.user_id = String::new();
        request.order_id = "7".to_owned();
        let told = |violation: crate::validate::Violation| violation.to_string();
        let user = request.user_id().map_err(told);
        assert_eq!(user.unwrap_err(), "user_id must be a UUID");
        let order = request.order_id().map_err(told);
        assert_eq!(order.unwrap_err(), "order_id must be a UUID");
    }
}
