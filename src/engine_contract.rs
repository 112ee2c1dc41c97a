//! Tests of the real engine against the [contract](crate::engine::contract). They are
//! outside of `engine` because they need an image, and the engine does not know how
//! images are built.

use std::sync::Arc;

use clap::Parser;
use tokio::sync::OnceCell;

use crate::config::Settings;
use crate::domain::script_type::ScriptType;
use crate::engine::{Engine, contract};
use crate::sandbox::Cancel;
use crate::services::Services;

/// Image for all of these tests, found or built once.
static SHELL_IMAGE: OnceCell<String> = OnceCell::const_new();

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Settings,
}

async fn docker() -> (Arc<dyn Engine>, String) {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = format!("--data-dir={}", folder.path().display());
    let settings = Command::parse_from(["contract", &data_dir]).settings;
    let services = Services::new(&settings).unwrap();
    let image = SHELL_IMAGE.get_or_init(|| async {
        let progress = |line: &str| println!("{line}");
        let library = &services.library;
        library.type_image(ScriptType::Shell, &progress, &Cancel::new()).await.unwrap().id
    });
    let image = image.await.clone();
    services.remover.drain().await;
    (Arc::new(services.docker), image)
}

contract::contract_tests!(docker);
