//! The program `mlv`: everything is in the library.

fn main() -> std::process::ExitCode {
    mlv::cli::main()
}
