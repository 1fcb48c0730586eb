//! What a failed exchange means: which code, in which words, and what it proves of the world.
//!
//! Owns the reading of reqwest's errors. Must not repeat their text: it holds URLs.

use std::{error::Error, io};

use rustls::CertificateError;

use crate::{
    diagnostics::codes,
    model::{Fault, World},
};

/// What stands first in the chain of causes that we know how to tell.
enum Cause<'a> {
    Certificate(&'a CertificateError),
    Tls(&'a rustls::Error),
    Io(&'a io::Error),
    Other,
}

/// Walks the chain of causes. `io::Error` hides what it wraps from `source`, so both are asked.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Cause<'a> {
    let mut next = Some(error);
    let mut found = Cause::Other;
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return match tls {
                rustls::Error::InvalidCertificate(why) => Cause::Certificate(why),
                other => Cause::Tls(other),
            };
        }
        next = error.source();
        if let Some(io) = error.downcast_ref::<io::Error>() {
            found = Cause::Io(io);
            if let Some(inner) = io.get_ref() {
                next = Some(inner);
            }
        }
    }
    found
}

/// The client could not be made.
pub(super) fn no_client(name: &str, error: &reqwest::Error) -> Fault {
    match cause(error) {
        Cause::Tls(_) => Fault::untouched(
            codes::RW0702,
            format!("`{name}` can't be verified: this machine has no root certificates"),
        )
        .help("install the package `ca-certificates`, or set SSL_CERT_FILE"),
        _ => Fault::untouched(codes::RW9901, format!("no HTTP client could be made for `{name}`")),
    }
}

/// The request did not get its answer's head.
pub(super) fn of_request(name: &str, error: &reqwest::Error, reads: bool) -> Fault {
    if error.is_connect() {
        return of_connect(name, error);
    }
    if error.is_builder() {
        return Fault::untouched(codes::RW0711, format!("the request to `{name}` can't be built"));
    }
    lost(name, error, reads).help_unless_read(reads)
}

/// No connection came about: nothing of the request can have left.
fn of_connect(name: &str, error: &reqwest::Error) -> Fault {
    if error.is_timeout() {
        return Fault::untouched(codes::RW0703, format!("no connection to `{name}` in time"))
            .help("a firewall may drop packets, or the host is down: try `curl` from here")
            .transient();
    }
    if error.is_dns() {
        return Fault::untouched(codes::RW0701, format!("the host of `{name}` has no address"))
            .help("look at the host's name in `runward.yaml`, and at this machine's DNS");
    }
    match cause(error) {
        Cause::Certificate(why) => Fault::untouched(
            codes::RW0702,
            format!("the certificate of `{name}` is not accepted: {}", certificate(why)),
        )
        .help(
            "the roots are the system's; SSL_CERT_FILE names others. Verification can't be turned \
             off",
        ),
        Cause::Tls(why) => {
            Fault::untouched(codes::RW0702, format!("`{name}` refused the TLS handshake"))
                .detail(why.to_string())
        }
        Cause::Io(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
            Fault::untouched(codes::RW0701, format!("`{name}` refused the connection"))
                .help("is the service up, and is the port right? try `curl` from this machine")
                .transient()
        }
        Cause::Io(why) => Fault::untouched(codes::RW0701, format!("no connection to `{name}`"))
            .detail(why.to_string())
            .transient(),
        Cause::Other => {
            Fault::untouched(codes::RW0701, format!("no connection to `{name}`")).transient()
        }
    }
}

fn certificate(why: &CertificateError) -> &'static str {
    use CertificateError as E;
    match why {
        E::Expired | E::ExpiredContext { .. } => "it has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => "it is for another host",
        E::UnknownIssuer => "its issuer is unknown",
        E::Revoked => "it was revoked",
        _ => "it is malformed or not meant for this",
    }
}

/// The connection broke after the request may have left.
fn lost(name: &str, error: &reqwest::Error, reads: bool) -> Fault {
    let fault = Fault::untouched(
        codes::RW0712,
        format!("the connection to `{name}` was lost before the answer was complete"),
    )
    .world(left(reads));
    let fault = match cause(error) {
        Cause::Io(why) => fault.detail(why.to_string()),
        Cause::Tls(why) => fault.detail(why.to_string()),
        _ => fault,
    };
    if reads { fault.transient() } else { fault }
}

/// The answer's head came, its body did not.
pub(super) fn of_answer(name: &str, error: &reqwest::Error, reads: bool, status: u16) -> Fault {
    let fault = if is_decoding(error) {
        Fault::untouched(codes::RW0709, format!("the answer of `{name}` can't be decompressed"))
            .world(left(reads))
    } else {
        lost(name, error, reads)
    };
    fault.after_status(status).help_unless_read(reads)
}

fn is_decoding(error: &reqwest::Error) -> bool {
    let Cause::Io(io) = cause(error) else { return false };
    error.is_decode()
        && matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}

/// The answer is longer than its cap.
pub(super) fn too_large(name: &str, max_bytes: usize, reads: bool, status: u16) -> Fault {
    Fault::untouched(
        codes::RW0710,
        format!("the answer of `{name}` is larger than {max_bytes} bytes"),
    )
    .world(left(reads))
    .after_status(status)
    .help("ask for less (a page, a filter), or raise `max_bytes`")
}

fn left(reads: bool) -> World {
    if reads { World::Untouched } else { World::Unknown }
}

trait Wording {
    /// Says which status had been read before the failure.
    fn after_status(self, status: u16) -> Self;
    /// Says that a change may have happened.
    fn help_unless_read(self, reads: bool) -> Self;
}

impl Wording for Fault {
    fn after_status(self, status: u16) -> Self {
        let first = format!("its status was {status}");
        let detail = match &self.detail {
            Some(more) => format!("{first}; {more}"),
            None => first,
        };
        self.detail(detail)
    }

    fn help_unless_read(self, reads: bool) -> Self {
        if reads {
            self
        } else {
            self.help("the request may have taken effect: look before it is sent again")
        }
    }
}
