//! System packages in environments, built on the real engine: each set once, with
//! Python requirements upon it, and apt's own words when it fails.

use std::time::Duration;

use gantry::domain::environment::EnvironmentSpec;
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::requirements::{Requirements, RequirementsPolicy};
use gantry::domain::system_packages::SystemPackages;
use gantry::images::{ImageError, ImageState};

use crate::testkit::image_fixture::ImageFixture;

fn spec(script_type: ScriptType, packages: &[&str], requirements: Option<&str>) -> EnvironmentSpec {
    let packages = packages.iter().map(|name| (*name).to_owned()).collect();
    let parse = |text| Requirements::parse(text, RequirementsPolicy::default()).unwrap();
    EnvironmentSpec {
        packages: SystemPackages::new(packages).unwrap(),
        requirements: requirements.map(parse),
        ..EnvironmentSpec::plain(script_type)
    }
}

#[tokio::test]
async fn packages_are_installed_once_for_all_who_need_them() {
    let fixture = ImageFixture::new();
    let (one, other) = (
        spec(ScriptType::Shell, &["hello", "tree"], None),
        spec(ScriptType::Shell, &["tree", "hello", "tree"], None),
    );
    let (one, other) = tokio::join!(fixture.prepare(&one, None), fixture.prepare(&other, None));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.image.id, other.image.id);
    assert!(one.built != other.built, "built once: {} {}", one.built, other.built);
    assert_eq!(one.lock, None);
    let again = fixture.prepare(&spec(ScriptType::Shell, &["hello", "tree"], None), None).await;
    let again = again.unwrap();
    assert_eq!((again.image.id, again.built), (one.image.id.clone(), false));

    let look = "hello; which tree jq; id -u; readlink /etc/passwd; echo /usr/share/man/man[1-8]; \
                find / -xdev -type f \\( -perm /6000 -o -path '/var/lib/apt/lists/*' \\) 2>/dev/null";
    let printed = fixture.output_of(&one.image.id, &["/bin/sh", "-c", look]);
    // Where update-alternatives puts links, nothing is left out.
    let manuals: Vec<_> = (1..=8).map(|section| format!("/usr/share/man/man{section}")).collect();
    let manuals = manuals.join(" ");
    let expected = format!(
        "Hello, world!\n/usr/bin/tree\n/usr/bin/jq\n65534\n/run/gantry/@passwd\n{manuals}\n"
    );
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn a_runtime_alone_is_its_own_image() {
    let fixture = ImageFixture::new();
    let prepared = fixture.prepare(&spec(ScriptType::Binary, &[], None), None).await.unwrap();
    let image = fixture.library().find_type_image(ScriptType::Binary).await.unwrap().unwrap();
    assert_eq!((prepared.image, prepared.built, prepared.lock), (image, false, None));
}

#[tokio::test]
async fn a_package_that_there_is_not_is_named_by_apt() {
    let fixture = ImageFixture::new();
    // The last two are a pattern and an order where apt may read them so.
    let names = ["gantry-no-such-package", "hell.", "hello+"];
    let error = fixture.prepare(&spec(ScriptType::Shell, &names, None), None).await.unwrap_err();
    assert!(matches!(error, ImageError::Packages { .. }), "{error:?}");
    for name in names {
        let said = format!("E: Unable to locate package {name}\n");
        assert!(format!("{error}\n").contains(&said), "{said:?} is not in: {error}");
    }
    assert!(!error.to_string().contains("/bin/sh"), "{error}");
    assert!(error.hint().unwrap().contains("packages.debian.org"));
}

#[tokio::test]
async fn a_version_that_there_is_not_is_said_by_apt() {
    let fixture = ImageFixture::new();
    let error = fixture.prepare(&spec(ScriptType::Shell, &["hello=0.1-1"], None), None).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("Version '0.1-1' for 'hello' was not found"), "{error}");
    assert!(error.hint().unwrap().contains("without one"), "{error}");
}

/// Prints what a program says and the version of a Python package.
const BOTH: &str = "import six, subprocess
print(subprocess.check_output(['hello'], text=True).strip(), six.__version__)";

#[tokio::test]
async fn python_requirements_stand_upon_system_packages() {
    let fixture = ImageFixture::new();
    let python = |image: &str| {
        fixture.output_of(image, &["/opt/env/bin/python", "-c", BOTH]).trim().to_owned()
    };
    let both = spec(ScriptType::Python, &["hello"], Some("six"));
    let first = fixture.prepare(&both, Some("six==1.16.0\n")).await.unwrap();
    assert_eq!(python(&first.image.id), "Hello, world! 1.16.0");
    assert!(first.built && first.lock.as_ref().unwrap().contains("six==1.16.0"), "{first:?}");
    // The data folder's lock goes before anybody else's.
    let again = fixture.prepare(&both, Some("six==1.17.0\n")).await.unwrap();
    assert_eq!((again.image.id, again.lock, again.built), (first.image.id, first.lock, false));

    fixture.forget();
    let anew = fixture.prepare(&both, Some("six==1.17.0\n")).await.unwrap();
    assert_eq!(python(&anew.image.id), "Hello, world! 1.17.0");
    assert!(anew.built, "{anew:?}");
}

#[tokio::test]
async fn images_with_packages_are_listed_and_go_after_what_stands_upon_them() {
    let fixture = ImageFixture::new();
    // Another set than in other tests: what is pruned here is missed there.
    let both = spec(ScriptType::Python, &["tree"], Some("iniconfig==2.1.0"));
    let prepared = fixture.prepare(&both, None).await.unwrap();

    let library = fixture.library();
    let listed = library.list().await.unwrap();
    let ours: Vec<_> = listed.iter().filter(|it| it.is_ours).collect();
    assert!(ours.iter().all(|it| it.standing == ImageState::Current), "{ours:?}");
    let role = |role: &str| ours.iter().find(|it| it.role == role).unwrap();
    assert_eq!(role("packages").packages(), ["tree"]);
    assert_eq!(role("environment").packages(), ["tree", "iniconfig==2.1.0"]);
    assert_eq!(role("environment").image.id, prepared.image.id);

    assert!(library.prunable(Duration::from_secs(3600)).await.unwrap().is_empty());
    let prunable = library.prunable(Duration::ZERO).await.unwrap();
    let roles: Vec<_> = prunable.iter().map(|it| it.listed.role.as_str()).collect();
    assert_eq!(roles, ["environment", "packages"]);
    for prunable in &prunable {
        library.prune(prunable).await.unwrap();
    }
    assert!(!library.list().await.unwrap().iter().any(|it| it.is_ours));
}
