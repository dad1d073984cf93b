//! What is spent, told to the journal: a fact before each request goes out, and one once its answer
//! is counted.
//!
//! It refuses to let the provider or the agent have something that the journal does not: whoever
//! waits for a ticket goes on when that fact is written. Written is not synced; a killed omk loses
//! nothing of it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::fact::Fact;

/// The run's journal, as far as it is about spending.
#[derive(Debug)]
pub(super) struct SpendingAccount {
    /// `None` = nobody keeps one.
    journal: Option<UnboundedSender<Fact>>,
    /// How many facts were sent. Held while one is, so that they are written in the order of their
    /// tickets.
    sent: Mutex<u64>,
    written: watch::Sender<u64>,
}

/// Which fact to wait for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

impl SpendingAccount {
    pub(super) fn new(journal: Option<UnboundedSender<Fact>>) -> Self {
        Self {
            journal,
            sent: Mutex::default(),
            written: watch::Sender::new(0),
        }
    }

    /// Sends a fact; `None` where nobody will write it.
    pub(super) fn tell(&self, fact: Fact) -> Option<Ticket> {
        let journal = self.journal.as_ref()?;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        journal.send(fact).ok()?;
        *sent += 1;
        Some(Ticket(*sent))
    }

    /// So many more facts are written.
    pub(super) fn wrote(&self, facts: u64) {
        self.written.send_modify(|written| *written += facts);
    }

    /// Returns when that fact is written.
    pub(super) async fn until_written(&self, ticket: Option<Ticket>) {
        let Some(Ticket(number)) = ticket else { return };
        // The sender lives as long as this account.
        let _ = self
            .written
            .subscribe()
            .wait_for(|written| *written >= number)
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited() -> Fact {
        Fact::Limited {
            limit: crate::fact::Limit::Tokens,
        }
    }

    async fn is_written(account: &SpendingAccount, ticket: Option<Ticket>) -> bool {
        tokio::time::timeout(
            std::time::Duration::from_millis(1),
            account.until_written(ticket),
        )
        .await
        .is_ok()
    }

    #[tokio::test]
    async fn each_fact_is_waited_for_until_it_is_written() {
        let (journal, mut facts) = tokio::sync::mpsc::unbounded_channel();
        let account = SpendingAccount::new(Some(journal));
        let (first, second, third) = (
            account.tell(limited()),
            account.tell(limited()),
            account.tell(limited()),
        );
        assert_eq!(facts.len(), 3);
        assert!(!is_written(&account, first).await);
        account.wrote(1);
        assert!(is_written(&account, first).await && !is_written(&account, second).await);
        account.wrote(2);
        assert!(is_written(&account, second).await && is_written(&account, third).await);
        // Nobody waits for a journal that is closed, or that there is not.
        facts.close();
        assert!(
            account.tell(limited()).is_none()
                && SpendingAccount::new(None).tell(limited()).is_none()
        );
        assert!(is_written(&account, None).await);
    }
}
