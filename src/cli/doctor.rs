//! `gantry doctor`
use crate::config::Settings;
use clap::Args;
#[derive(Debug, Args)]
pub(super) struct Arguments {}
pub(super) async fn main(_: &Arguments, _: &Settings) -> u8 {
    0
}
