//! The right of one attempt to ask the model, until it is closed.

use std::fmt;
use std::sync::Arc;

use super::attempt::AdmittedAttempt;
use super::usage::Usage;
use super::{GatewayError, GatewayShared, serve};
use crate::id::Sha256;

/// One attempt's way to the model. Dropping it ends that way at once.
pub struct Pass {
    /// `http://127.0.0.1:PORT/v1`.
    pub base_url: String,
    /// What the agent sends as its key; worth nothing elsewhere, or once the pass is closed.
    pub token: String,
    pub(super) digest: Sha256,
    pub(super) attempt: Arc<AdmittedAttempt>,
    pub(super) inner: Arc<GatewayShared>,
}

impl Pass {
    /// What has been used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.attempt.usage()
    }

    /// Serves the listener of the attempt's own room. From then on it is served nowhere else: its
    /// token is worth nothing to another child, and no other token is worth anything in that
    /// room.
    ///
    /// # Errors
    /// Where the runtime cannot take the listener.
    pub fn serve(&self, room: std::net::TcpListener) -> Result<(), GatewayError> {
        room.set_nonblocking(true).map_err(GatewayError::Listen)?;
        let listener = tokio::net::TcpListener::from_std(room).map_err(GatewayError::Listen)?;
        self.attempt
            .has_room
            .store(true, std::sync::atomic::Ordering::Release);
        serve::spawn(
            listener,
            Arc::clone(&self.inner),
            Some(Arc::clone(&self.attempt)),
        );
        Ok(())
    }

    /// Revokes the token, breaks off what is under way, and says what was used in all.
    #[must_use]
    pub fn close(self) -> Usage {
        self.revoke();
        self.attempt.usage()
    }

    fn revoke(&self) {
        self.inner.admitted().remove(&self.digest);
        self.attempt.close();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.revoke();
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass")
            .field("base_url", &self.base_url)
            .field("token", &"***")
            .finish_non_exhaustive()
    }
}
