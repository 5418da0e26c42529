//! The stock of an order: its lines, reserved and released by update-inventory.

use zerocart_client::{Client, Failure};
use zerocart_core::{Call, Kind};
use zerocart_proto::{
    product::{InventoryLine, UpdateInventoryRequest},
    rpc,
};

use crate::{
    order::{Line, Order},
    saga::Event,
    services::{Report, answer, log_failure},
};

/// How many products a reason names at most.
const NAMES: usize = 3;

const NOT_RESERVED: &str = "the stock cannot be reserved at the moment";
const NOT_RELEASED: &str = "the stock cannot be released at the moment";

type UpdateInventory = Client<rpc::UpdateInventory>;

/// Units of a line are taken, or given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Take,
    GiveBack,
}

/// Reserves all lines of an order, or none.
pub(crate) async fn reserve(client: &UpdateInventory, cx: &Call, order: &Order) -> Report {
    let lines: Vec<_> = order.lines.iter().collect();
    let Err(failure) = client.call(cx, &request(order, &lines, Way::Take)).await else {
        return Report::DONE;
    };
    if let Some(reason) = refusal(&failure, &lines) {
        return Report::refused(reason);
    }
    if takes_one_line(&failure) {
        return reserve_each(client, cx, order).await;
    }
    log_failure("reserve", &failure);
    Report::unavailable(NOT_RESERVED)
}

/// Releases all lines of an order, reserved or not.
pub(crate) async fn release(client: &UpdateInventory, cx: &Call, order: &Order) -> Report {
    let mut lines: Vec<_> = order.lines.iter().collect();
    loop {
        let Err(failure) = client
            .call(cx, &request(order, &lines, Way::GiveBack))
            .await
        else {
            return Report::DONE;
        };
        if takes_one_line(&failure) {
            return release_each(client, cx, order, &order.lines).await;
        }
        if answer(&failure) != Some(Kind::NotFound) {
            log_failure("release", &failure);
            return Report::unavailable(NOT_RELEASED);
        }
        // There is nothing that these could be given back to. The others still are to be released.
        let gone = named(&failure, &lines);
        lines.retain(|line| !gone.contains(line));
        if lines.is_empty() {
            return Report::DONE;
        }
    }
}

/// Reserves line after line: for an instance of update-inventory of the version before, which is not
/// replaced yet. What was reserved before a line is refused is released, so that the order is refused
/// with nothing reserved.
async fn reserve_each(client: &UpdateInventory, cx: &Call, order: &Order) -> Report {
    for (number, line) in order.lines.iter().enumerate() {
        let Err(failure) = client.call(cx, &request(order, &[line], Way::Take)).await else {
            continue;
        };
        let Some(reason) = refusal(&failure, &[line]) else {
            log_failure("reserve", &failure);
            return Report::unavailable(NOT_RESERVED);
        };
        let released = release_each(client, cx, order, &order.lines[..number]).await;
        return match released.event {
            Event::Done => Report::refused(reason),
            _ => Report::unavailable(reason),
        };
    }
    Report::DONE
}

/// Releases line after line, as [`reserve_each`] reserves.
async fn release_each(
    client: &UpdateInventory,
    cx: &Call,
    order: &Order,
    lines: &[Line],
) -> Report {
    for line in lines {
        let request = request(order, &[line], Way::GiveBack);
        match client.call(cx, &request).await {
            Ok(_) => {}
            Err(failure) if answer(&failure) == Some(Kind::NotFound) => {}
            Err(failure) => {
                log_failure("release", &failure);
                return Report::unavailable(NOT_RELEASED);
            }
        }
    }
    Report::DONE
}

/// One line is asked for as the contract has it, which every version understands.
fn request(order: &Order, lines: &[&Line], way: Way) -> UpdateInventoryRequest {
    let change = |line: &Line| match way {
        Way::Take => -line.quantity,
        Way::GiveBack => line.quantity,
    };
    let reservation_id = order.id.to_string();
    if let [line] = lines {
        return UpdateInventoryRequest {
            product_id: line.product_id.to_string(),
            quantity_change: change(line),
            reservation_id,
            lines: Vec::new(),
        };
    }
    let lines = lines.iter().map(|line| InventoryLine {
        product_id: line.product_id.to_string(),
        quantity_change: change(line),
    });
    UpdateInventoryRequest {
        reservation_id,
        lines: lines.collect(),
        ..Default::default()
    }
}

/// Whether the callee is of the version before, which takes one line and does not see `lines`.
fn takes_one_line(failure: &Failure) -> bool {
    answer(failure) == Some(Kind::InvalidArgument)
        && failure
            .violations
            .iter()
            .any(|wrong| wrong.field == "product_id")
}

/// Why lines are not reserved, and never will be; none when that is not known.
fn refusal(failure: &Failure, lines: &[&Line]) -> Option<String> {
    let kind = answer(failure)?;
    let named = named(failure, lines);
    let names: Vec<_> = named.iter().map(|line| line.name.as_str()).collect();
    let products = list(&names);
    match (kind, names.len()) {
        (Kind::FailedPrecondition, _) => {
            Some(format!("there is not enough of {products} in stock"))
        }
        (Kind::NotFound, 1) => Some(format!("{products} is not sold any more")),
        (Kind::NotFound, _) => Some(format!("{products} are not sold any more")),
        _ => None,
    }
}

/// The lines that a failure is about: those that it names, or all.
fn named<'a>(failure: &Failure, lines: &[&'a Line]) -> Vec<&'a Line> {
    let numbers = failure.violations.iter().filter_map(|wrong| {
        let number = wrong.field.strip_prefix("lines[")?.strip_suffix(']')?;
        number.parse::<usize>().ok()
    });
    let named: Vec<_> = numbers
        .filter_map(|number| lines.get(number).copied())
        .collect();
    match named.is_empty() {
        true => lines.to_vec(),
        false => named,
    }
}

/// `Tea`, `Tea and Cup`, `Tea, Cup and Pot`, `Tea, Cup, Pot and 4 more`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] if names.len() <= NAMES => format!("{} and {last}", first.join(", ")),
        _ => {
            let (told, more) = names.split_at(NAMES);
            format!("{} and {} more", told.join(", "), more.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn a_reason_names_a_few_products() {
        let names = ["Tea", "Cup", "Pot", "Mug", "Jug"];
        let told: Vec<_> = (1..=5).map(|n| list(&names[..n])).collect();
        assert_eq!(
            told,
            [
                "Tea",
                "Tea and Cup",
                "Tea, Cup and Pot",
                "Tea, Cup, Pot and 1 more",
                "Tea, Cup, Pot and 2 more"
            ]
        );
    }
}
