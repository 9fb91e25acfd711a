//! The program `ln6d`; everything is in the library beside it.

fn main() -> std::process::ExitCode {
    ln6_node::main(std::env::args_os())
}
