//! State of the engine, read without Gantry.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, InspectNetworkOptions,
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions, StartContainerOptions,
};
use futures::StreamExt;

/// Works from an asynchronous test, too, whose runtime does not allow blocking.
fn ask<T: Send>(question: impl AsyncFnOnce(Docker) -> T + Send) -> T {
    let asking = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { question(Docker::connect_with_defaults().unwrap()).await })
    };
    std::thread::scope(|scope| scope.spawn(asking).join().unwrap())
}

/// The containers of an installation, running or not.
pub(crate) fn containers(installation: &str) -> Vec<String> {
    ask(async |docker| {
        let label = format!("gantry.installation={installation}");
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = docker.list_containers(Some(options)).await.unwrap();
        listed.into_iter().filter_map(|container| container.names?.into_iter().next()).collect()
    })
}

/// True if a container that is there has ended.
pub(crate) fn has_ended(container: &str) -> bool {
    ask(async |docker| {
        let name = container.trim_start_matches('/');
        let inspected = docker.inspect_container(name, None::<InspectContainerOptions>).await;
        inspected.unwrap().state.unwrap().running == Some(false)
    })
}

/// Removes the containers of an installation.
pub(crate) fn remove_containers(installation: &str) {
    for container in containers(installation) {
        ask(async |docker| {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            let name = container.trim_start_matches('/');
            let _ = docker.remove_container(name, Some(options)).await;
        });
    }
}

/// Removes the images of an installation.
pub(crate) fn remove_images(installation: &str) {
    ask(async |docker| {
        let label = format!("gantry.installation={installation}");
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let mut images = docker.list_images(Some(options)).await.unwrap();
        // Those that stand upon others go first.
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        for tag in images.into_iter().flat_map(|image| image.repo_tags) {
            let _ = docker.remove_image(&tag, None::<RemoveImageOptions>, None).await;
        }
    });
}

/// Output of a command in a container of an image; the container is labelled with the
/// installation.
pub(crate) fn output_of(installation: &str, image: &str, command: &[&str]) -> String {
    ask(async |docker| {
        let label = ("gantry.installation".to_owned(), installation.to_owned());
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(command.iter().map(|&word| word.to_owned()).collect()),
            labels: Some(HashMap::from([label])),
            network_disabled: Some(true),
            ..ContainerCreateBody::default()
        };
        let created = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
        docker.start_container(&created.id, None::<StartContainerOptions>).await.unwrap();
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let printed: Vec<_> = docker.logs(&created.id, Some(options)).collect().await;
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        docker.remove_container(&created.id, Some(options)).await.unwrap();
        printed.into_iter().map(|piece| piece.unwrap().to_string()).collect()
    })
}

pub(crate) fn has_image(reference: &str) -> bool {
    ask(async |docker| docker.inspect_image(reference).await.is_ok())
}

/// The address that containers on a network know this machine by: the network's gateway,
/// unless the engine has a network namespace of its own (tests/engines/beside).
pub(crate) fn gateway(network: &str) -> String {
    if let Ok(host) = std::env::var("GANTRY_TEST_HOST") {
        return host;
    }
    ask(async |docker| {
        let options = None::<InspectNetworkOptions>;
        let inspected = docker.inspect_network(network, options).await.unwrap();
        let configs = inspected.ipam.unwrap().config.unwrap();
        configs.into_iter().find_map(|config| config.gateway).unwrap()
    })
}

/// Number of networks with this name: engines allow several.
pub(crate) fn networks(name: &str) -> usize {
    ask(async |docker| {
        let listed = docker.list_networks(None::<ListNetworksOptions>).await.unwrap();
        listed.iter().filter(|network| network.name.as_deref() == Some(name)).count()
    })
}

/// Images that are removed when the value is dropped.
#[derive(Default)]
pub(crate) struct Images(Vec<String>);

impl Images {
    /// Adds the image that an execution ran in; answers its tag.
    pub(crate) fn add(&mut self, execution: &serde_json::Value) -> String {
        let id = execution["sandbox"]["image"].as_str().unwrap();
        let inspected = ask(async |docker| docker.inspect_image(id).await.unwrap());
        let tag = inspected.repo_tags.unwrap_or_default().into_iter().next().unwrap();
        self.0.push(tag.clone());
        tag
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for tag in &self.0 {
            ask(async |docker| {
                let _ = docker.remove_image(tag, None::<RemoveImageOptions>, None).await;
            });
        }
    }
}

/// Writes all that the engine reports about an image, and the content of its layers, into
/// a file.
pub(crate) fn save_everything(image: &str, to: &Path) {
    ask(async |docker| {
        let mut file = File::create(to).unwrap();
        let inspected = docker.inspect_image(image).await.unwrap();
        let history = docker.image_history(image).await.unwrap();
        writeln!(file, "{inspected:?}{history:?}").unwrap();
        let mut export = docker.export_image(image);
        while let Some(piece) = export.next().await {
            file.write_all(&piece.unwrap()).unwrap();
        }
    });
}
