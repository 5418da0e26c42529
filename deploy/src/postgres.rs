//! `max_connections` of the PostgreSQL that runs in the cluster.

use crate::{Output, Unit, budget::Connections, text::comment};

/// The region `max_connections` of the server's manifest.
pub fn render(units: &[Unit]) -> Output {
    let connections = Connections::of(units);
    let why = comment("            ", &connections.reason());
    let text = format!(
        "{why}            - --max_connections={}\n",
        connections.max()
    );
    Output::region(
        "deploy/cluster/files/postgres.yaml",
        "max_connections",
        text,
    )
}
