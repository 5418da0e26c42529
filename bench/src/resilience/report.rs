//! The report: what was done to the system, what the shoppers saw, and whether anything was lost.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;
use zerocart_proto::rpc::{self, Rpc};

use super::{
    breakers::{Change, Cycle},
    draw,
    faults::Fault,
    inject::Happened,
    statistics::{CALM_S, Effect, GROUPS, Row, Second, WARM_UP_S},
};
use crate::{
    machine,
    results::{About, write},
    soak::books::{Books, is_sold, units},
};

/// The name of its files.
const NAME: &str = "resilience";

/// What must hold at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Conserved {
    /// How many orders have which status.
    pub(crate) orders: BTreeMap<String, usize>,
    pub(crate) units_sold: i64,
    pub(crate) revenue_cents: i64,
    /// Charges that stand at the provider, and their sum; only of an engine of this program's own.
    pub(crate) charges: Option<(i64, i64)>,
    pub(crate) products: usize,
    /// Customers, and those of them whose cart is known and was compared.
    pub(crate) customers: usize,
    pub(crate) carts: usize,
    /// How long after the load all orders had ended and the books balanced.
    pub(crate) settled_after_s: f64,
    pub(crate) wrong: Vec<String>,
}

impl Conserved {
    /// Reads it off the books; `charges` are the provider's own.
    pub(crate) fn of(books: &Books, charges: Option<(i64, i64)>, settled_after_s: f64) -> Self {
        let mut conserved = Self {
            revenue_cents: books.revenue().get(),
            products: books.products.len(),
            customers: books.customers.len(),
            carts: books
                .customers
                .iter()
                .filter(|c| c.expected.is_some())
                .count(),
            charges,
            settled_after_s,
            wrong: books.wrong(),
            ..Self::default()
        };
        let mut sold = 0;
        for order in books.orders() {
            let status = order.status().as_str_name().to_owned();
            *conserved.orders.entry(status).or_default() += 1;
            if is_sold(order) {
                sold += 1;
                conserved.units_sold += units(order).values().sum::<i64>();
            }
        }
        if conserved.orders.is_empty() {
            conserved.wrong.push("no order was made".to_owned());
        }
        let revenue = conserved.revenue_cents;
        if let Some((count, cents)) = charges
            && (count, cents) != (sold, revenue)
        {
            conserved.wrong.push(format!(
                "{count} charges of {cents} cents stand at the provider, but {sold} orders of {revenue} cents are paid"
            ));
        }
        conserved
    }
}

impl Conserved {
    /// How many orders are paid.
    fn paid(&self) -> usize {
        let paid = ["PAID", "SHIPPED", "DELIVERED"].iter();
        paid.filter_map(|status| self.orders.get(*status)).sum()
    }
}

/// A fault with what it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Disturbance {
    pub(crate) happened: Happened,
    pub(crate) effects: Vec<Effect>,
}

/// How breakers were observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Observed {
    /// Each change of their rows.
    Exactly,
    /// The health of create-order, again and again.
    Sampled,
    No,
}

/// All that a run found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) about: About,
    pub(crate) version: &'static str,
    /// None for an engine of its own.
    pub(crate) base_url: Option<String>,
    pub(crate) seconds: u64,
    pub(crate) visits_per_s: f64,
    pub(crate) visits: usize,
    pub(crate) planned_requests: usize,
    pub(crate) accounts: usize,
    pub(crate) limit_ms: f64,
    pub(crate) open_for_s: f64,
    pub(crate) disturbances: Vec<Disturbance>,
    /// Faults that were planned and did not happen.
    pub(crate) missing: Vec<Fault>,
    pub(crate) observed: Observed,
    pub(crate) cycles: Vec<Cycle>,
    pub(crate) breakers_wrong: Vec<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) by_second: Vec<Second>,
    pub(crate) functions: Vec<Row>,
    pub(crate) wrong_answers: Vec<String>,
    pub(crate) conserved: Conserved,
}

impl Report {
    /// All that makes `--check` fail, in one line each.
    pub(crate) fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self.conserved.wrong.clone();
        failures.extend(self.wrong_answers.iter().cloned());
        failures.extend(self.breakers_wrong.iter().cloned());
        let lost: usize = self.functions.iter().map(|row| row.lost).sum();
        if lost > 0 {
            failures.push(format!("{lost} requests got no answer within a minute"));
        }
        for Disturbance { happened, .. } in &self.disturbances {
            let Some(breaker) = &happened.fault.opens else {
                continue;
            };
            let name = &happened.fault.name;
            let of_fault =
                |cycle: &&Cycle| cycle.breaker == *breaker && cycle.opened_s >= happened.began_s;
            match self.cycles.iter().find(of_fault) {
                None => failures.push(format!("{name}: the breaker around {breaker} did not open")),
                Some(cycle) if cycle.closed_s.is_none() => {
                    failures.push(format!(
                        "{name}: the breaker around {breaker} did not close"
                    ));
                }
                Some(_) => {}
            }
        }
        let missing = self.missing.iter();
        failures.extend(missing.map(|fault| format!("{}: it did not happen", fault.name)));
        failures
    }

    /// The verdict in one line.
    pub(crate) fn verdict(&self) -> String {
        let orders = &self.conserved.orders;
        let all: usize = orders.values().sum();
        let paid = self.conserved.paid();
        let failures = self.failures();
        if !failures.is_empty() {
            return format!("FAIL ({}): {}", failures.len(), failures.join("; "));
        }
        let breakers = match (self.observed, self.cycles.is_empty()) {
            (Observed::No, _) => "Breakers were not observed.",
            (_, true) => "No breaker opened.",
            (_, false) => "The breakers that opened kept their rules.",
        };
        let create = self.functions.iter();
        let mut create = create.filter(|row| row.function == rpc::CreateOrder::INFO.name);
        let away = create.next().map_or(0, |row| row.failed - row.lost);
        let mut told = format!("{paid} paid");
        if away > 0 {
            told += &format!(", {away} failed while the payment provider did not work");
        }
        let others = all.saturating_sub(paid + away);
        if others > 0 {
            told += &format!(", {others} declined or cancelled");
        }
        format!(
            "PASS: {} faults; {all} orders: {told}. All orders, stock and money balance. Each request got an answer \
             within a minute. {breakers}",
            self.disturbances.len()
        )
    }

    /// Writes the page, the diagrams and the data into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let faults: Vec<_> = self
            .disturbances
            .iter()
            .map(|d| d.happened.clone())
            .collect();
        let timeline = folder.join(format!("{NAME}-timeline.svg"));
        draw::timeline(&timeline, &self.by_second, &faults)?;
        let cycle = self.main_cycle();
        if let Some(cycle) = cycle {
            let path = folder.join(format!("{NAME}-breaker.svg"));
            draw::breaker(&path, cycle, &self.changes, &faults)?;
        }
        let json = serde_json::to_string(self)? + "\n";
        write(&folder.join(format!("{NAME}.json")), &json)?;
        write(&folder.join(format!("{NAME}.md")), &self.page())
    }

    /// The first breaker that a fault was meant to open, or any.
    fn main_cycle(&self) -> Option<&Cycle> {
        let mut meant = self.disturbances.iter();
        let meant = meant.find_map(|d| d.happened.fault.opens.as_deref());
        let cycles = || self.cycles.iter();
        let main = cycles().find(|cycle| Some(cycle.breaker.as_str()) == meant);
        main.or_else(|| cycles().next())
    }

    /// The page, as Markdown.
    pub(crate) fn page(&self) -> String {
        let mut page = String::from(
            "<!-- Written by `just resilience-report`. Do not edit. -->\n\n# Resilience report\n\n",
        );
        page.push_str(&format!("**{}**\n\n", self.verdict()));
        page.push_str(&self.introduction());
        page.push_str("\n## Faults\n\n");
        page.push_str(&self.faults());
        page.push_str(&format!(
            "\n![Requests, latency and orders over time](\
             {NAME}-timeline.svg)\n\nA grey band is a fault, with its number.\n\n## Recovery\n\n"
        ));
        page.push_str(&self.recovery());
        page.push_str("\n## Circuit breakers\n\n");
        page.push_str(&self.breakers());
        page.push_str("\n## Requests\n\n");
        page.push_str(&self.requests());
        page.push_str("\n## Orders, stock and money\n\n");
        page.push_str(&self.books());
        page
    }

    fn introduction(&self) -> String {
        let system = match &self.base_url {
            None => "a local engine that the program has started. Engine, PostgreSQL and shoppers share the machine"
                .to_owned(),
            Some(url) => format!("the system at {url}. The commit and the machine are those of the shoppers"),
        };
        let postgres = match &self.base_url {
            None => format!(", PostgreSQL {}", self.about.postgres),
            Some(_) => String::new(),
        };
        let About {
            commit,
            cpu,
            cores,
            kernel,
            compiler,
            seed,
            load_before,
            ..
        } = &self.about;
        let date = self.about.date();
        let facts = machine::facts().into_iter();
        let facts: String = facts
            .map(|(name, value)| format!("| {name} | {value} |\n"))
            .collect();
        let busy = match machine::was_busy(*load_before, *cores) {
            true => ": the machine was busy",
            false => "",
        };
        format!(
            "{} visits in {} s ({} per second on average), with {} planned requests and {} accounts, against \
             {system}.\n\n\
             | | |\n|---|---|\n| date | {date} |\n| commit | {commit}, zerocart {} |\n| seed | {seed} |\n\
             | machine | {cpu}, {cores} cores, Linux {kernel} |\n{facts}\
             | versions | {compiler}{postgres} |\n\
             | load average of one minute | {load_before:.2} before{busy} |\n",
            self.visits,
            self.seconds,
            self.visits_per_s,
            self.planned_requests,
            self.accounts,
            self.version,
        )
    }

    fn faults(&self) -> String {
        let mut table = String::from(
            "| # | fault | what | from, s | to, s | processes |\n|--:|---|---|--:|--:|--:|\n",
        );
        for (n, Disturbance { happened, .. }) in self.disturbances.iter().enumerate() {
            let Happened {
                fault,
                began_s,
                ended_s,
                processes,
            } = happened;
            let processes = match processes {
                0 => "–".to_owned(),
                n => n.to_string(),
            };
            table.push_str(&format!(
                "| {} | {} | {} | {began_s:.1} | {ended_s:.1} | {processes} |\n",
                n + 1,
                fault.name,
                fault.what.told()
            ));
        }
        table.push_str(
            "\n*Processes*: how many got the signal. A stop of the database ends when PostgreSQL answers again.\n",
        );
        table
    }

    fn recovery(&self) -> String {
        let mut table = format!(
            "A request is *good* if it gets an answer within {:.0} ms after its planned time. The recovery time \
             is from the end of the fault to the last request that is not good, before {CALM_S:.0} s in which all \
             are good. “–”: the next fault came before that. *Longest*: the longest latency of a request that was \
             planned from the begin of the fault until the next one.\n\nAfter faults of the payment provider and of \
             the database, most of the recovery is the time for which a circuit breaker is open, {:.0} s: calls are \
             refused until it lets a probe pass, though what is behind it works again.\n\n| # | fault |",
            self.limit_ms, self.open_for_s
        );
        for group in GROUPS {
            table.push_str(&format!(
                " {group}: good during it | recovered after | longest, s |"
            ));
        }
        table.push_str("\n|--:|---|");
        table.push_str(&"--:|--:|--:|".repeat(GROUPS.len()));
        table.push('\n');
        for (n, disturbance) in self.disturbances.iter().enumerate() {
            let name = &disturbance.happened.fault.name;
            table.push_str(&format!("| {} | {name} |", n + 1));
            for effect in &disturbance.effects {
                let good = match effect.due {
                    0 => "–".to_owned(),
                    due => format!("{} of {due}", effect.good),
                };
                let recovered = match effect.recovered_s {
                    None => "–".to_owned(),
                    Some(seconds) => format!("{seconds:.1} s"),
                };
                let longest = match effect.longest_s {
                    None => "–".to_owned(),
                    Some(seconds) => format!("{seconds:.2}"),
                };
                table.push_str(&format!(" {good} | {recovered} | {longest} |"));
            }
            table.push('\n');
        }
        table.push_str(
            "\n*Catalogue*: list-products, get-product. *Carts*: add-to-cart, get-cart. *Orders*: create-order.\n",
        );
        table
    }

    fn breakers(&self) -> String {
        let observed = match self.observed {
            Observed::Exactly => {
                "A trigger in the databases noted each change, with the time of the database, so no state is \
                 missing."
            }
            Observed::Sampled => {
                "GET /health of create-order was read ten times a second. A shorter state may be missing."
            }
            Observed::No => {
                return "They were not observed: the public API does not tell their state. Name the health of \
                        create-order by `--health`.\n"
                    .to_owned();
            }
        };
        let mut text = format!(
            "{observed} An open breaker lets the first probe pass after {} s, when somebody calls.\n\n",
            self.open_for_s
        );
        if self.cycles.is_empty() {
            text.push_str("No breaker opened.\n");
            return text;
        }
        text.push_str(
            "| breaker | kept by | opened, s | after failures | half-open, s | failed probes | closed, s | after \
             successes | not closed, s |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        let seconds = |at: Option<f64>| at.map_or("–".to_owned(), |at| format!("{at:.2}"));
        for cycle in &self.cycles {
            text.push_str(&format!(
                "| around {} | {} | {:.2} | {} | {} | {} | {} | {} | {} |\n",
                cycle.breaker,
                cycle.of,
                cycle.opened_s,
                cycle.failures,
                seconds(cycle.half_open_s),
                cycle.failed_probes,
                seconds(cycle.closed_s),
                cycle.successes.map_or("–".to_owned(), |n| n.to_string()),
                seconds(cycle.closed_s.map(|closed| closed - cycle.opened_s)),
            ));
        }
        if let Some(cycle) = self.main_cycle() {
            text.push_str(&format!(
                "\n![The breaker around {}]({NAME}-breaker.svg)\n\nAll changes of this breaker:\n\n\
                 | time, s | state | failures | successful probes | probes on their way |\n|--:|---|--:|--:|--:|\n",
                cycle.breaker
            ));
            let end = cycle.closed_s.unwrap_or(f64::MAX);
            let of_cycle = self.changes.iter().filter(|change| {
                change.breaker == cycle.breaker && change.of == cycle.of && change.at_s <= end
            });
            for change in of_cycle {
                text.push_str(&format!(
                    "| {:.3} | {} | {} | {} | {} |\n",
                    change.at_s, change.state, change.failures, change.successes, change.probes
                ));
            }
        }
        text
    }

    fn requests(&self) -> String {
        let mut table = format!(
            "Latency counts from the planned time to the last answer, with all repetitions and pauses, so a \
             request that had to wait for an earlier one of its shopper counts, too. It is in milliseconds, above \
             10,000 ms in seconds. *Undisturbed*: planned after the first {WARM_UP_S:.0} s, in which functions start, \
             and ended before the first fault. *From sending*: the latency that a closed loop would show. “–”: there \
             is none, or n is below 100 for a p99.\n\n\
             | function | requests | first attempt failed | repeated | failed | n undisturbed | undisturbed p50 | \
             p99 | p50, whole run | p99 | longest | p99 from sending |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for row in &self.functions {
            let p99 = |of: usize, ms: f64| match of {
                ..100 => "–".to_owned(),
                _ => latency(ms),
            };
            let calm_p50 = match row.calm {
                0 => "–".to_owned(),
                _ => latency(row.calm_p50_ms),
            };
            table.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {calm_p50} | {} | {} | {} | {} | {} |\n",
                row.function,
                row.requests,
                row.first_failed,
                row.repeated,
                row.failed,
                row.calm,
                p99(row.calm, row.calm_p99_ms),
                latency(row.p50_ms),
                p99(row.requests, row.p99_ms),
                latency(row.max_ms),
                p99(row.requests, row.sent_p99_ms)
            ));
        }
        let limited: usize = self.functions.iter().map(|row| row.limited).sum();
        table.push_str(
            "\n*Failed*: no answer within a minute, or an order that failed because the payment provider did not \
             work. The shopper then clears the cart.\n\nThere are more requests than planned ones: beside those, the \
             shopper reads each order until it has ended, and clears the cart after an order that failed.\n",
        );
        if limited > 0 {
            table.push_str(&format!(
                "\nThe gateway's limit delayed {limited} requests: raise it, or call from more addresses \
                 (`--from`).\n"
            ));
        }
        table
    }

    fn books(&self) -> String {
        let Conserved {
            orders,
            units_sold,
            revenue_cents,
            charges,
            products,
            customers,
            carts,
            settled_after_s,
            wrong,
        } = &self.conserved;
        let money = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
        let count = orders.iter().map(|(status, n)| format!("{n} {status}"));
        let count = count.collect::<Vec<_>>().join(", ");
        let paid = self.conserved.paid();
        let mut text = format!(
            "| | |\n|---|---|\n| orders | {count} |\n| all orders had ended | {settled_after_s:.1} s after the \
             load |\n| paid orders, each with one payment of its total | {paid}, {} |\n",
            money(*revenue_cents)
        );
        if let Some((number, cents)) = charges {
            text.push_str(&format!(
                "| charges that stand in the provider's own books | {number}, {} |\n",
                money(*cents)
            ));
        }
        text.push_str(&format!(
            "| units sold = stock before − stock now, for each of {products} products | {units_sold} |\n\
             | carts that hold what their customer put in, minus what was bought | {carts} of {customers} |\n"
        ));
        if carts < customers {
            text.push_str(
                "\nThe other carts were not compared: their customers do not know what became of a request.\n",
            );
        }
        match wrong.is_empty() {
            true => text.push_str("\nNothing is wrong in the books.\n"),
            false => {
                text.push_str("\nWrong in the books:\n\n");
                for line in wrong {
                    text.push_str(&format!("- {line}\n"));
                }
            }
        }
        text
    }
}

/// A latency, with its unit if that is not milliseconds.
fn latency(ms: f64) -> String {
    match ms {
        ..=10_000.0 => format!("{ms:.1}"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests;
