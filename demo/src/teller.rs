//! Shows what happens while something is done.

use std::io;
use std::pin::pin;

use dev_idp::{Direction, Endpoint, Exchange};

use crate::events::{Event, Events};
use crate::screen::Screen;
use crate::wire;

/// Where things are shown, and where they are heard of.
pub(crate) struct Teller {
    pub(crate) screen: Screen,
    pub(crate) events: Events,
}

/// How exchanges are shown.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// Who sends the requests.
    caller: &'static str,
    /// Whether each has one line only, and no reason is given.
    brief: bool,
}

impl View {
    /// Requests that anybody may send, a line for each.
    pub(crate) const ANYBODY: Self = Self {
        caller: "   ",
        brief: true,
    };
    /// Requests of `bff`, each kind a step of the story.
    pub(crate) const BFF: Self = Self {
        caller: "bff",
        brief: false,
    };
    /// Requests of `bff`, a line for each.
    pub(crate) const BFF_IN_BRIEF: Self = Self {
        brief: true,
        ..Self::BFF
    };
    /// Requests of who looks on.
    pub(crate) const OPERATOR: Self = Self {
        caller: "you",
        brief: false,
    };
}

impl Teller {
    /// Shows what happens while `work` is done.
    pub(crate) async fn watch<T>(
        &mut self,
        view: View,
        work: impl Future<Output = T>,
    ) -> io::Result<T> {
        let mut work = pin!(work);
        let mut scene = Scene::default();
        let done = loop {
            tokio::select! {
                () = self.events.arrived() => self.show(view, &mut scene).await?,
                done = &mut work => break done,
            }
        };
        self.show(view, &mut scene).await?;
        Ok(done)
    }

    async fn show(&mut self, view: View, scene: &mut Scene) -> io::Result<()> {
        for event in self.events.take() {
            match event {
                Event::Logged(message) => self.screen.logged(message.well, &message.text)?,
                Event::Exchanged(exchange) if view.brief => {
                    self.screen.line(&wire::one_line(&exchange, view.caller))?;
                }
                // It belongs to a request that is not answered yet.
                Event::Exchanged(exchange) if exchange.direction == Direction::Fetched => {
                    scene.fetches.push(*exchange);
                }
                Event::Exchanged(exchange) => {
                    if scene.endpoint != Some(exchange.endpoint) {
                        scene.endpoint = Some(exchange.endpoint);
                        if let Some((title, why)) = reason(exchange.endpoint) {
                            self.screen.step(title, why).await?;
                        }
                    }
                    let fetches = std::mem::take(&mut scene.fetches);
                    wire::show(&mut self.screen, &exchange, view.caller, &fetches)?;
                }
            }
        }
        Ok(())
    }
}

/// What has been shown of the work so far.
#[derive(Default)]
struct Scene {
    endpoint: Option<Endpoint>,
    fetches: Vec<Exchange>,
}

/// Why `bff` sends a request.
fn reason(endpoint: Endpoint) -> Option<(&'static str, &'static str)> {
    match endpoint {
        Endpoint::Discovery => Some((
            "bff finds the IdP's endpoints",
            "From IDP_BASE_URL alone. The issuer in the document must be the expected one, \
             character for character.",
        )),
        Endpoint::Register => Some((
            "bff registers, once",
            "The intention is on the disk before the request leaves, the answer before it is \
             read: a crash at any point loses neither the client nor the token. The IdP fetches \
             the JWK Set before it agrees.",
        )),
        Endpoint::Token => Some((
            "bff proves its key",
            "It signs a client assertion (RFC 7523) and redeems a code that it made up. Only a \
             client that was authenticated learns that the code is worth nothing: invalid_grant \
             is the yes.",
        )),
        _ => None,
    }
}
