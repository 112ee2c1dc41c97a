//! Environments: Gantry beside `docker build` with pip on the same image.

use std::process::Stdio;

use gantry::domain::script_type::python::requirements::{Requirements, RequirementsPolicy};
use gantry::sandbox::Cancel;
use tokio::process::Command;

use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::subject::Subject;
use crate::{Failure, setting, timed};

const SET: &str = "requests\nnumpy\npillow\n";

/// Versions of a package that the second set has more than the first.
const MORE: [&str; 8] =
    ["1.10.0", "1.11.0", "1.12.0", "1.13.0", "1.14.0", "1.15.0", "1.16.0", "1.17.0"];

const DOCKERFILE: &str = "ARG BASE
FROM ${BASE}
USER root
COPY ca.pem /tmp/ca.pem
RUN pip=$(echo /usr/share/python-wheels/pip-*.whl) \\
 && SSL_CERT_FILE=/tmp/ca.pem PIP_CERT=/tmp/ca.pem python3 $pip/pip install --no-cache-dir \\
    --break-system-packages requests numpy pillow
";

pub(crate) async fn measure(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let mut pip = Series::new("docker build with pip");
    let mut cold = Series::new("Gantry, no wheel known");
    let mut warm = Series::new("Gantry, wheels known");
    let mut found = Series::new("Gantry, found");
    let mut second = Series::new("Gantry, second set");
    let context = build_context(subject)?;
    for round in 0..setting("GANTRY_BENCH_ENVIRONMENTS", 30) {
        pip.add(timed(docker_build(subject, context.path())).await?);
        subject.forget_cache().await?;
        let tag = environment(subject, SET, &mut cold).await?;
        subject.docker.remove_image(&tag).await?;
        let tag = environment(subject, SET, &mut warm).await?;
        environment(subject, SET, &mut found).await?;
        let version = MORE.get(usize::try_from(round)? % MORE.len()).copied().unwrap_or_default();
        let more = format!("{SET}six=={version}\n");
        let more_tag = environment(subject, &more, &mut second).await?;
        subject.docker.remove_image(&more_tag).await?;
        subject.docker.remove_image(&tag).await?;
    }
    report.times("Environment: `requests numpy pillow`, image and all", [cold, warm, pip]);
    report.plain_times("The same again, and with `six` added", [found, second]);
    Ok(())
}

/// Builds or finds an environment and answers with its tag.
async fn environment(
    subject: &Subject,
    requirements: &str,
    series: &mut Series,
) -> Result<String, Failure> {
    let requirements = Requirements::parse(requirements, RequirementsPolicy::default())?;
    subject.forget_locks()?;
    let mut tag = String::new();
    let build = async {
        let cancel = Cancel::new();
        let built = subject.library.environment(&requirements, &|_| (), &cancel).await?;
        tag = built.image.tags.first().cloned().ok_or("an environment without a tag")?;
        Ok(())
    };
    series.add(timed(build).await?);
    subject.settle().await;
    Ok(tag)
}

fn build_context(subject: &Subject) -> Result<tempfile::TempDir, Failure> {
    let context = tempfile::tempdir()?;
    std::fs::write(context.path().join("Dockerfile"), DOCKERFILE)?;
    let bundle = subject.ca_bundle.as_deref().map(std::fs::read).transpose()?;
    std::fs::write(context.path().join("ca.pem"), bundle.unwrap_or_default())?;
    Ok(context)
}

async fn docker_build(subject: &Subject, context: &std::path::Path) -> Result<(), Failure> {
    let base = format!("BASE={}", subject.python_image);
    let built = Command::new("docker")
        .args(["build", "--no-cache", "--quiet", "--tag", "gantry-bench:pip", "--build-arg", &base])
        .arg(context)
        .env("DOCKER_BUILDKIT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .await?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr).into_owned().into());
    }
    Ok(())
}
