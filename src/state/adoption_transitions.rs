//! Clients that an operator has named, and that were proven.

use jiff::Timestamp;

use super::client_refusal::ClientRefusal;
use super::document::State;
use super::journal::Event;
use crate::registration::Registered;

impl State {
    /// The client, where it was asked for here: the present one, the one that is to take its place,
    /// or the one of an attempt.
    pub fn known_client(&self, issuer: &str, client_id: &str) -> Option<Registered> {
        let candidate = self.candidate.as_ref().map(|candidate| &candidate.client);
        let mut known = self.registration.iter().chain(candidate);
        if let Some(known) = known.find(|c| c.issuer == issuer && c.client_id == client_id) {
            return Some(known.clone());
        }
        let attempt = self.attempt.as_ref();
        let attempt = attempt.filter(|attempt| attempt.issuer == issuer)?;
        let (asked, started_at) = (&attempt.asked, attempt.started_at);
        Some(Registered {
            open: attempt.token.is_none(),
            ..Registered::new(issuer, client_id, asked.clone(), asked.clone(), started_at)
        })
    }

    /// Makes a client ours that an operator has named: it has been proven, and needs no trial. It
    /// settles an attempt at its issuer, and what was to take the place of the present client is left
    /// to be deleted, as that one is. Returns the client before.
    pub fn take_over(&mut self, mut client: Registered, now: Timestamp) -> Option<String> {
        let is_it = |issuer: &str, client_id: &str| {
            issuer == client.issuer && client_id == client.client_id
        };
        if client.management.is_none() {
            let mut orphans = self.orphans.iter();
            let listed = orphans.find(|orphan| is_it(&orphan.issuer, &orphan.client_id));
            client.management = listed.and_then(|orphan| orphan.management.clone());
        }
        let attempt = self.attempt.take();
        self.attempt = attempt.filter(|attempt| attempt.issuer != client.issuer);
        let candidate = self.candidate.take().map(|candidate| candidate.client);
        if let Some(other) = candidate.filter(|other| !is_it(&other.issuer, &other.client_id)) {
            self.leave(other.orphaned(now));
        }
        self.refusals.clear();
        self.rat_marker = None;
        let detail = format!(
            "taken over at {} on order: our key is accepted",
            client.issuer
        );
        self.journal
            .add(now, Event::ClientFound, Some(&client.client_id), detail);
        self.take_place(client, now)
    }

    /// Notes that the client that we are was proven on order. `read` is the client as a read with the
    /// token of an operator has shown it, where one was given: it is managed so from then on.
    ///
    /// # Errors
    ///
    /// [`ClientRefusal`], if it is not the client that we are; nothing is changed then.
    pub fn renewed_by_operator(
        &mut self,
        client_id: &str,
        read: Option<&Registered>,
        now: Timestamp,
    ) -> Result<(), ClientRefusal> {
        let client = self.client(client_id)?;
        if let Some(read) = read {
            client.management.clone_from(&read.management);
            client.read_renews = read.read_renews;
            client.forget_refusals();
            // What the IdP had before an update tells whether the update was made.
            if read.seen.is_some() && client.unconfirmed.is_none() {
                client.seen.clone_from(&read.seen);
            }
            self.rat_marker = None;
            let detail = "given by an operator".to_owned();
            self.journal
                .add(now, Event::TokenRenewed, Some(client_id), detail);
        }
        self.gone = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::{ClientMetadata, EndpointUrl, Management};
    use crate::registration::Attempt;
    use crate::secret::Secret;
    use crate::state::Adoption;

    const ISSUER: &str = "https://idp.example";

    #[test]
    fn a_client_that_is_taken_over_settles_the_attempt_and_takes_every_place() {
        let mut state = State::default();
        state.adopt(client("old"), None, Adoption::Registered, at(0));
        state.adopt(client("late"), None, Adoption::Registered, at(1));
        state.intend(attempt(ISSUER), false, at(2));

        let before = state.take_over(client("new"), at(3));

        assert_eq!(before.as_deref(), Some("old"));
        assert_eq!(state.registration().unwrap().client_id, "new");
        assert!(state.attempt().is_none() && state.candidate().is_none());
        assert_eq!(orphans(&state), ["late", "old"]);
        let back = Registered {
            management: None,
            ..client("old")
        };
        state.take_over(back, at(4));
        let back = state.registration().unwrap();
        assert!(back.management.is_some(), "it was listed with its token");
        assert_eq!(orphans(&state), ["late", "new"]);
    }

    #[test]
    fn an_attempt_at_another_idp_is_not_settled() {
        let mut state = State::default();
        state.intend(attempt("https://other.example"), false, at(0));

        state.take_over(client("c1"), at(1));

        assert!(state.attempt().is_some());
    }

    #[test]
    fn a_token_of_an_operator_ends_what_was_held_against_the_one_before() {
        let mut state = State::default();
        state.adopt(client("c1"), None, Adoption::Registered, at(0));
        state.unmanageable("HTTP 401", at(1)).unwrap();
        state.rat_leaves("c1", at(2)).unwrap();
        state.lose("c1", true, None, at(3)).unwrap();

        let other = state.renewed_by_operator("c2", None, at(4));
        assert!(other.is_err() && state.gone().is_some());
        let read = Registered {
            management: Some(management("given")),
            ..client("c1")
        };
        state.renewed_by_operator("c1", Some(&read), at(5)).unwrap();

        let ours = state.registration().unwrap();
        let token = ours.management.as_ref().unwrap().token.expose();
        assert_eq!((token, ours.unmanageable.is_none()), ("given", true));
        assert!(state.rat_marker("c1").is_none() && state.gone().is_none());
    }

    fn orphans(state: &State) -> Vec<&str> {
        let orphans = state.orphans().iter();
        orphans.map(|orphan| orphan.client_id.as_str()).collect()
    }

    fn client(client_id: &str) -> Registered {
        let none = ClientMetadata::default;
        Registered {
            management: Some(management("rat")),
            ..Registered::new(ISSUER, client_id, none(), none(), at(0))
        }
    }

    fn management(token: &str) -> Management {
        Management {
            uri: EndpointUrl::parse("https://idp.example/c", false).unwrap(),
            token: Secret::new(token),
        }
    }

    fn attempt(issuer: &str) -> Attempt {
        Attempt {
            issuer: issuer.to_owned(),
            endpoint: format!("{issuer}/register"),
            asked: ClientMetadata::default(),
            token: None,
            started_at: at(2),
            answer: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }
}
