use zerocart_postgres::RecordVoid;
use zerocart_proto::rpc;

/// `record-void-in-product`: records that tokens of a user are void for the functions of this domain, behind the
/// breaker of its database.
pub type RecordVoidInProduct = RecordVoid<rpc::RecordVoidInProduct, true>;
