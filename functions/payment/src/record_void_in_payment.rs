use zerocart_postgres::RecordVoid;
use zerocart_proto::rpc;

/// `record-void-in-payment`: records that tokens of a user are void for the functions of this domain.
pub type RecordVoidInPayment = RecordVoid<rpc::RecordVoidInPayment>;
