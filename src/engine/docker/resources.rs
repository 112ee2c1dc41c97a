//! Networks and volumes of sandboxes.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::RemoveVolumeOptionsBuilder;

use super::Docker;
use crate::engine::deadline::{self, within};
use crate::engine::{EngineError, Labels, Verb};

/// Bridge network for scripts with egress, and name of its interface: at most 15 bytes
/// (`IFNAMSIZ`, if.h).
pub(super) const EGRESS_NETWORK: &str = "gantry-egress";

/// Bridge network for builds.
pub(super) const BUILD_NETWORK: &str = "gantry-build";

/// Number of checks, and pause between them, for a network that another process is
/// creating: 5 s in all.
const CHECKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

const NETWORK: Verb = Verb::Image("creating a network");
const VOLUME: Verb = Verb::Image("creating a volume");

impl Docker {
    /// Creates the bridge for builds, if it does not exist.
    ///
    /// # Errors
    /// [`EngineError`] if the engine refuses.
    pub async fn ensure_build_network(&self) -> Result<(), EngineError> {
        self.ensure_network(BUILD_NETWORK).await
    }

    /// Creates the bridge for scripts with egress, if it does not exist.
    ///
    /// # Errors
    /// [`EngineError`] if the engine refuses.
    pub async fn ensure_egress_network(&self) -> Result<(), EngineError> {
        self.ensure_network(EGRESS_NETWORK).await
    }

    /// Creates a bridge on which containers can't reach each other.
    async fn ensure_network(&self, name: &str) -> Result<(), EngineError> {
        if self.has_network(name).await? {
            return Ok(());
        }
        let option = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            options: Some(HashMap::from([
                option("com.docker.network.bridge.enable_icc", "false"),
                // The engine allows two networks of one name and can then use neither;
                // two bridges of one name it refuses (403).
                option("com.docker.network.bridge.name", name),
            ])),
            labels: Some(HashMap::from([option(crate::engine::LABEL_ROLE, "network")])),
            ..NetworkCreateRequest::default()
        };
        let created = within(NETWORK, deadline::IMAGE, async {
            let creating = self.client.create_network(request).await;
            creating.map(|_| ()).map_err(|error| self.error(NETWORK, error))
        })
        .await;
        match created {
            // Another process was faster.
            Err(EngineError::Refused { .. }) if self.has_network_soon(name).await? => Ok(()),
            other => other,
        }
    }

    /// Waits for a network: an engine that refuses a second bridge may not list the first
    /// one yet.
    async fn has_network_soon(&self, name: &str) -> Result<bool, EngineError> {
        for _ in 0..CHECKS {
            if self.has_network(name).await? {
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(false)
    }

    async fn has_network(&self, name: &str) -> Result<bool, EngineError> {
        let found = within(NETWORK, deadline::IMAGE, async {
            let inspecting = self.client.inspect_network(name, None).await;
            inspecting.map_err(|error| self.error(NETWORK, error))
        })
        .await;
        match found {
            Ok(_) => Ok(true),
            Err(EngineError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates a volume, if it does not exist.
    ///
    /// # Errors
    /// [`EngineError`] if the engine refuses.
    pub async fn ensure_volume(&self, name: &str, labels: &Labels) -> Result<(), EngineError> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        within(VOLUME, deadline::IMAGE, async {
            let creating = self.client.create_volume(request).await;
            creating.map(|_| ()).map_err(|error| self.error(VOLUME, error))
        })
        .await
    }

    /// Removes a volume. Succeeds if there is none.
    ///
    /// # Errors
    /// [`EngineError`] if the engine refuses, or a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let verb = Verb::Image("removing a volume");
        let removed = within(verb, deadline::IMAGE, async {
            let options = RemoveVolumeOptionsBuilder::default().build();
            let removing = self.client.remove_volume(name, Some(options)).await;
            removing.map_err(|error| self.error(verb, error))
        })
        .await;
        match removed {
            Err(EngineError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}
