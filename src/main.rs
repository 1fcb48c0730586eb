//! The program: a runtime, the command line, an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(runward::cli::main()),
        // Without threads or descriptors there is nothing to run on.
        Err(_) => ExitCode::from(6),
    }
}
