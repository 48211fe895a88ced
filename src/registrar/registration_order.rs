//! What an operator orders, and its way.

use super::bootstrap::Registrar;
use super::bootstrap_error::BootstrapError;
use super::occasion::Occasion;
use crate::app::Backoff;
use crate::registration::Adoptee;
use crate::state::State;

/// What an operator orders.
#[derive(Clone, Debug)]
pub enum RegistrationOrder {
    /// To take a client over that exists, after a proof.
    Adopt(Adoptee),
    /// To accept an older state as it is, and to go on with it.
    AfterRestore,
    /// To register or update now.
    Register,
}

impl Registrar {
    /// Carries out what an operator has ordered.
    ///
    /// # Errors
    ///
    /// Those of [`Registrar::bootstrap`].
    pub async fn carry_out(
        &self,
        order: RegistrationOrder,
        mut backoff: Backoff,
    ) -> Result<(), BootstrapError> {
        match &order {
            RegistrationOrder::Adopt(adoptee) => {
                self.adopt(adoptee, &mut backoff).await?;
                // What others have changed is mended by another order.
                return self.bootstrap(Occasion::Start, backoff).await;
            }
            RegistrationOrder::AfterRestore => self.accept_restore().await?,
            RegistrationOrder::Register => {}
        }
        self.bootstrap(Occasion::Order, backoff).await
    }

    async fn accept_restore(&self) -> Result<(), BootstrapError> {
        let now = self.app.clock.now();
        let accept = |state: &mut State| state.accept_restore(now);
        if self.app.ledger.record(accept).await? {
            tracing::info!("Audit: the older state is accepted as it is");
        } else {
            tracing::info!("No older state is in use: there is nothing to accept");
        }
        Ok(())
    }
}
