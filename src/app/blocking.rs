//! Work that blocks.

/// Runs blocking work on a thread for it; a panic there is resumed here.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: this task is not polled again.
            Err(_) => std::future::pending().await,
        },
    }
}
