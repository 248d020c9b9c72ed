//! What the daemon's tasks run on.

use anyhow::{Context as _, Result};

/// Threads for tasks. What computes at length, as reading files and planning, has threads of its own.
const WORKERS: usize = 2;

/// Runs `work` to its end, and nothing longer: what still computes on another thread, as the reading of large files, is left where
/// it is, for the process to take it along.
///
/// # Errors
/// The operating system refuses threads; what `work` returns.
pub fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("cannot start the daemon's threads")?;
    let result = runtime.block_on(work);
    // To drop it would wait.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_does_not_wait_for_what_computes() {
        let (release, computing) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let result = run(async {
                let begun = tokio::sync::oneshot::channel();
                tokio::task::spawn_blocking(move || {
                    let _ = begun.0.send(());
                    let _ = computing.recv();
                });
                begun.1.await?;
                Ok(())
            });
            let _ = tell.send(result.is_ok());
        });
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap());
        drop(release);
    }
}
