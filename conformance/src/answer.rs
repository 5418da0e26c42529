//! What is expected of an answer, and the words for it.

use std::fmt::{self, Debug};

use serde_json::Value;
use tonic::Code;
use zerocart_core::Kind;
use zerocart_proto::rpc::Rpc;
use zerocart_wires::Outcome;

use super::{
    refusal::Refusal,
    schema,
    shop::{Asked, Shop},
    wire::Got,
};

/// An answer, and what was found of it so far. What is wrong first is what counts.
#[must_use = "only `end` and `response` say whether it is as expected"]
pub struct Answer<'a, R: Rpc> {
    shop: &'a Shop,
    /// The name of who asked.
    who: &'a str,
    request: String,
    keyed: bool,
    got: Got<R::Response>,
    said: Vec<String>,
    /// Whether engines may say it in other words.
    varies: bool,
    /// Whether it depends on what came first, so that it is not held against that of other engines.
    raced: bool,
    /// Expected, got.
    wrong: Option<(String, String)>,
}

impl<R: Rpc> Debug for Answer<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("request", &self.request)
            .field("said", &self.said)
            .field("wrong", &self.wrong)
            .finish_non_exhaustive()
    }
}

/// Something that is not so. Boxed, to keep an `Err` small.
pub type Failed = Box<Failure>;

/// Something that is not so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// The story, and the wire.
    pub story: String,
    /// The function that was called.
    pub function: &'static str,
    /// The request, without secrets.
    pub request: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub got: String,
    /// The whole answer, without secrets; empty without any.
    pub answer: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "FAIL {} ({})", self.function, self.story)?;
        writeln!(f, "     request   {}", self.request)?;
        writeln!(f, "     expected  {}", self.expected)?;
        write!(f, "     got       {}", self.got)?;
        if !self.answer.is_empty() {
            write!(f, "\n     answer    {}", self.answer)?;
        }
        Ok(())
    }
}

impl<'a, R: Rpc> Answer<'a, R> {
    pub(super) fn new(
        shop: &'a Shop,
        who: &'a str,
        request: String,
        keyed: bool,
        got: Got<R::Response>,
    ) -> Self {
        Self {
            shop,
            who,
            request,
            keyed,
            got,
            said: Vec::new(),
            varies: false,
            raced: false,
            wrong: None,
        }
    }

    /// It depends on what came first: it is not held against that of other engines.
    pub(super) fn raced(mut self) -> Self {
        self.raced = true;
        self
    }

    /// What came back, for a story that goes on by it.
    pub(super) fn outcome(&self) -> &Outcome<R::Response> {
        &self.got.outcome
    }

    /// What was asked for, where the function's name does not say it.
    pub fn about(mut self, what: &str) -> Self {
        self.said.push(what.to_owned());
        self
    }

    /// It succeeded; over HTTP what was created is 201 and has its `Location`.
    pub fn ok(self) -> Self {
        let rest = self.shop.is_rest();
        let (status, said) = match (rest, R::INFO.creates) {
            (true, true) => (201, "201"),
            (true, false) => (200, "200"),
            (false, _) => (200, "OK"),
        };
        let got = match self.got.outcome.code {
            Code::Ok => self.got.outcome.http_status.to_string(),
            _ => self.told(),
        };
        let fine = self.got.outcome.code == Code::Ok && self.got.outcome.http_status == status;
        let mut answer = self.note(fine, said.to_owned(), got);
        if let (Code::Ok, Some(body)) = (answer.got.outcome.code, &answer.got.body) {
            let json = serde_json::from_slice(body).unwrap_or_default();
            if let Some(wrong) = schema::misshapen(&R::INFO, &json) {
                answer = answer.note(false, "a response as proto/ declares it".into(), wrong);
            }
        }
        if rest && R::INFO.creates {
            let location = answer.got.outcome.response.as_ref().and_then(R::location);
            let got = answer.got.outcome.header("location").map(str::to_owned);
            let fine = got == location && location.is_some();
            let (location, got) = (location.unwrap_or_default(), got.unwrap_or_default());
            answer = match fine {
                true => answer.note(true, "Location".into(), got),
                false => answer.note(false, format!("Location {location:?}"), format!("{got:?}")),
            };
        }
        answer
    }

    /// It was refused so, to the letter.
    pub fn refused(mut self, refusal: &Refusal) -> Self {
        self.varies = refusal.varies();
        let said = refusal.said(self.shop.is_rest());
        match refusal.differs(&self.got.outcome, self.got.body.as_ref()) {
            None => self.note(true, said, String::new()),
            Some((expected, got)) => self.note(false, expected, got),
        }
    }

    /// A part of the response equals `want`.
    pub fn is<T: PartialEq + Debug>(
        self,
        what: &str,
        part: impl FnOnce(&R::Response) -> T,
        want: T,
    ) -> Self {
        let Some(response) = &self.got.outcome.response else {
            return self.note(false, format!("{what} {want:?}"), "no response".into());
        };
        let got = part(response);
        let fine = got == want;
        self.note(
            fine,
            format!("{what} {}", plain(&want)),
            format!("{what} {}", plain(&got)),
        )
    }

    /// A part of the response equals `want`, which is too long to be told while it does.
    pub fn same<T: PartialEq + Debug>(
        self,
        what: &str,
        part: impl FnOnce(&R::Response) -> T,
        want: &T,
    ) -> Self {
        let got = self.got.outcome.response.as_ref().map(part);
        match got {
            Some(got) if got == *want => self.note(true, what.to_owned(), String::new()),
            Some(got) => self.note(false, format!("{what}: {want:?}"), format!("{got:?}")),
            None => self.note(false, format!("{what}: {want:?}"), "no response".into()),
        }
    }

    /// Something holds of the response.
    pub fn holds(self, what: &str, test: impl FnOnce(&R::Response) -> bool) -> Self {
        let fine = self.got.outcome.response.as_ref().is_some_and(test);
        self.note(fine, what.to_owned(), "that is not so".into())
    }

    /// Whether all of this is so.
    ///
    /// # Errors
    ///
    /// The first thing that is not.
    pub fn end(self) -> Result<(), Failed> {
        match self.wrong {
            None => {
                self.shop.fine(R::INFO.name, self.who, &self.said);
                let asked = Asked {
                    function: R::INFO.name,
                    request: &self.request,
                    keyed: self.keyed,
                    varies: self.varies,
                };
                if !self.raced {
                    self.shop.record(asked, &self.got);
                }
                Ok(())
            }
            Some((expected, got)) => {
                let response = self.got.outcome.response.as_ref();
                let answer = match (response.map(serde_json::to_value), &self.got.body) {
                    (Some(Ok(answer)), _) => hidden(answer).to_string(),
                    (_, Some(body)) => String::from_utf8_lossy(body).into_owned(),
                    _ => String::new(),
                };
                Err(Box::new(Failure {
                    story: self.shop.title().to_owned(),
                    function: R::INFO.name,
                    request: self.request,
                    expected,
                    got,
                    answer,
                }))
            }
        }
    }

    /// The response, if all of this is so.
    ///
    /// # Errors
    ///
    /// The first thing that is not.
    pub fn response(mut self) -> Result<R::Response, Failed> {
        let response = self.got.outcome.response.clone();
        if response.is_none() && self.wrong.is_none() {
            self.wrong = Some(("a response".into(), self.told()));
        }
        self.end()?;
        Ok(response.unwrap_or_default())
    }

    fn note(mut self, fine: bool, expected: String, got: String) -> Self {
        if fine {
            self.said.push(expected);
        } else if self.wrong.is_none() {
            self.wrong = Some((expected, got));
        }
        self
    }

    /// The outcome in a line.
    fn told(&self) -> String {
        told(&self.got.outcome)
    }
}

/// An outcome in a line.
pub(super) fn told<T>(outcome: &Outcome<T>) -> String {
    let Outcome {
        code,
        http_status,
        message,
        fields,
        metadata,
        ..
    } = outcome;
    let mut told = format!("{http_status} {}", name(*code));
    if !message.is_empty() {
        told.push_str(&format!(": {message}"));
    }
    for violation in fields {
        told.push_str(&format!("; {violation}"));
    }
    for (key, value) in metadata {
        told.push_str(&format!("; {key} {value}"));
    }
    told
}

/// A code's name on the wire.
pub(super) fn name(code: Code) -> &'static str {
    match Kind::of_grpc_code(code.into()) {
        Some(kind) => kind.name(),
        None if code == Code::Ok => "OK",
        None => "UNKNOWN",
    }
}

/// A value for people: text without quotes.
fn plain(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(inner) if !inner.is_empty() => inner.to_owned(),
        _ => text,
    }
}

/// An answer without what only its receiver may know.
fn hidden(mut answer: Value) -> Value {
    if let Some(token) = answer.get_mut("token") {
        *token = "…".into();
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{HeaderMap, HeaderValue};
    use zerocart_auth::Token;
    use zerocart_proto::{
        rpc::CreateOrder,
        user::{AuthResponse, User},
    };
    use zerocart_wires::Wire;

    use super::*;
    use crate::{Plan, edge};

    const ORDER: &str = "0192f0c1-7a3e-7cc2-9f4b-1d2c3b4a5f60";

    type Lines = Arc<Mutex<Vec<String>>>;

    fn shop(wire: Wire) -> (Shop, Lines) {
        let url = http::Uri::from_static("http://localhost:8000");
        let plan = Plan::new(url, Token::new("secret"), edge::KONG);
        let lines = Lines::default();
        let heard = Arc::clone(&lines);
        let say = Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
        (Shop::of_admin(&plan, wire, say).unwrap(), lines)
    }

    fn got<T: serde::Serialize>(code: Code, http_status: u16, response: Option<T>) -> Got<T> {
        let body = response.as_ref().map(|r| serde_json::to_vec(r).unwrap());
        let outcome = Outcome {
            code,
            http_status,
            message: String::new(),
            fields: Vec::new(),
            retry_after: None,
            trace_id: None,
            metadata: Default::default(),
            headers: HeaderMap::new(),
            response,
        };
        Got {
            outcome,
            body: body.map(Into::into),
        }
    }

    fn ordered(total_amount: f64) -> zerocart_proto::order::OrderResponse {
        zerocart_proto::order::OrderResponse {
            order: Some(zerocart_proto::order::Order {
                id: ORDER.into(),
                total_amount,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn total(response: &zerocart_proto::order::OrderResponse) -> f64 {
        response
            .order
            .as_ref()
            .map_or(0.0, |order| order.total_amount)
    }

    #[test]
    fn what_is_as_expected_is_said_in_one_line() {
        let (shop, lines) = shop(Wire::Http1);
        let mut got = got(Code::Ok, 201, Some(ordered(4.75)));
        let location = HeaderValue::from_str(&format!("/orders/{ORDER}")).unwrap();
        got.outcome.headers.insert("location", location);
        let answer = Answer::<CreateOrder>::new(&shop, "Ada", "POST".into(), false, got);
        let answer = answer.ok().is("total", total, 4.75);
        assert_eq!(answer.response().unwrap(), ordered(4.75));
        let said = lines.lock().unwrap().join("\n");
        assert_eq!(said, "ok   create-order as Ada: 201, Location, total 4.75");
        assert_eq!(shop.answers(), 1);
    }

    #[test]
    fn what_is_wrong_first_is_what_counts() {
        let (shop, lines) = shop(Wire::Http1);
        let answer = |got| Answer::<CreateOrder>::new(&shop, "Ada", "POST".into(), false, got);
        let wrong = |answer: Answer<'_, CreateOrder>| {
            let failed = answer.end().unwrap_err();
            (failed.expected, failed.got)
        };
        let created = || got(Code::Ok, 201, Some(ordered(4.75)));
        // Without its Location.
        let failed = wrong(answer(created()).ok().is("total", total, 1.0));
        assert_eq!(
            failed,
            (format!("Location \"/orders/{ORDER}\""), "\"\"".into())
        );
        let failed = wrong(answer(created()).is("total", total, 1.0));
        assert_eq!(failed, ("total 1.0".into(), "total 4.75".into()));
        let failed = wrong(answer(created()).refused(&Refusal::not_found("none")));
        assert_eq!(failed, ("404 NOT_FOUND".into(), "201 OK: ".into()));
        let conflict = || got(Code::Aborted, 409, None);
        let failed = wrong(answer(conflict()).refused(&Refusal::not_now("paid")));
        assert_eq!(failed.1, "ABORTED: ");
        let failed = wrong(answer(conflict()).ok().is("total", total, 4.75));
        assert_eq!(failed, ("201".into(), "409 ABORTED".into()));
        let failed = answer(conflict()).response().unwrap_err();
        assert_eq!(failed.expected, "a response");
        assert_eq!((lines.lock().unwrap().len(), shop.answers()), (0, 0));
    }

    #[test]
    fn statuses_of_http_do_not_count_over_grpc() {
        let (shop, lines) = shop(Wire::Grpc);
        let mut refused = got(Code::NotFound, 200, None);
        refused.outcome.message = "there is no such order".into();
        refused.outcome.trace_id = Some("80326ef5502768e11b3fac4ec3df0abc".into());
        let answer = Answer::<CreateOrder>::new(&shop, "nobody", "gRPC".into(), false, refused);
        let refusal = Refusal::not_found("there is no such order");
        answer.refused(&refusal).end().unwrap();
        let said = lines.lock().unwrap().join("\n");
        assert_eq!(
            said,
            "ok   create-order as nobody: NOT_FOUND: there is no such order"
        );
    }

    #[test]
    fn tokens_are_not_shown() {
        let answer = AuthResponse {
            success: true,
            token: "secret".into(),
            user: Some(User::default()),
        };
        let shown = hidden(serde_json::to_value(answer).unwrap()).to_string();
        assert!(!shown.contains("secret"), "{shown}");
    }
}
