//! The operations on configuration, in real projects.

use std::path::{Path, PathBuf};

use super::cache_dir::{CacheDirAction, CacheDirOptions};
use super::config::{ConfigAction, ConfigOptions};
use super::init::InitOptions;
use super::remote::{RemoteAction, RemoteOptions};
use super::surroundings::Surroundings;
use super::*;
use crate::config::{Level, Sources};
use crate::error::{Advice, ErrorKind};
use crate::git::testing::TestRepo;
use crate::report::NoReport;

struct Place {
    test: TestRepo,
    user: tempfile::TempDir,
    cwd: PathBuf,
}

impl Place {
    fn new() -> Place {
        let test = TestRepo::new();
        let place = Place { cwd: test.root.clone(), test, user: tempfile::tempdir().unwrap() };
        init::run(&place.around(), &InitOptions::default()).unwrap();
        place
    }

    fn around(&self) -> Surroundings<'_> {
        let sources = Sources { user: Some(self.user.path().to_path_buf()), ..Sources::default() };
        Surroundings { cwd: &self.cwd, sources, waits: false, reporter: &NoReport }
    }

    fn config(&self, action: ConfigAction, level: Option<Level>) -> Result<config::ConfigReport, OpError> {
        config::run(&self.around(), &ConfigOptions { action, level, dry_run: false })
    }

    fn get(&self, key: &str) -> Result<String, OpError> {
        Ok(self.config(ConfigAction::Get(key.into()), None)?.values.remove(0).value)
    }

    fn set(&self, key: &str, value: &str, level: Level) -> Result<bool, OpError> {
        Ok(self.config(ConfigAction::Set(key.into(), value.into()), Some(level))?.changed)
    }

    fn remote(&self, action: RemoteAction) -> Result<remote::RemoteReport, OpError> {
        self.remote_at(action, None)
    }

    fn remote_at(&self, action: RemoteAction, level: Option<Level>) -> Result<remote::RemoteReport, OpError> {
        remote::run(&self.around(), &RemoteOptions { action, level, dry_run: false })
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.test.root.join(".mlv").join(name)).unwrap()
    }
}

fn add(name: &str, url: &str) -> RemoteAction {
    RemoteAction::Add { name: name.into(), url: url.into(), default: false, force: false }
}

fn remove(name: &str) -> RemoteAction {
    RemoteAction::Remove { name: name.into() }
}

fn modify(name: &str, option: &str, value: Option<&str>) -> RemoteAction {
    RemoteAction::Modify { name: name.into(), option: option.into(), value: value.map(str::to_owned) }
}

#[test]
fn init_reports_what_to_hand_to_git() {
    let test = TestRepo::new();
    let around =
        Surroundings { cwd: &test.root, sources: Sources::default(), waits: false, reporter: &NoReport };
    let report = init::run(&around, &InitOptions::default()).unwrap();
    assert_eq!(report.git_add, [".gitattributes", ".mlv/.gitignore", ".mlv/config.toml", ".mlvignore"]);
    let mut command = vec!["add", "--"];
    command.extend(report.git_add.iter().map(String::as_str));
    test.git(&command);
    assert_eq!(init::run(&around, &InitOptions::default()).unwrap_err().kind().info().exit_code, 2);
    let again = init::run(&around, &InitOptions { force: true, ..InitOptions::default() }).unwrap();
    assert!(again.existed && again.created.is_empty());
    let report = root::run(&around.repo().unwrap()).unwrap();
    assert_eq!((report.root.as_str(), report.relative.as_str()), (test.root.to_str().unwrap(), "."));
}

/// Statement 8 of DVC's behaviours: reading an unknown key is an error too (F), setting one is (K).
#[test]
fn unknown_keys_are_refused_for_reading_and_writing() {
    let place = Place::new();
    for error in
        [place.get("core.nosuch").unwrap_err(), place.set("core.autostag", "true", Level::Local).unwrap_err()]
    {
        assert_eq!(error.kind().info().exit_code, 2, "{error}");
    }
    assert!(place.get("core.autostag").unwrap_err().hints()[0].text.contains("core.autostage"));
    assert_eq!(place.get("core.remote").unwrap_err().kind(), ErrorKind::Config, "known, but not set");
    assert!(place.set("core.autostage", "true", Level::Project).unwrap());
    assert!(!place.set("core.autostage", "true", Level::Project).unwrap(), "nothing to change");
    assert_eq!(place.get("core.autostage").unwrap(), "true");
    place.config(ConfigAction::Unset("core.autostage".into()), None).unwrap();
    assert!(place.config(ConfigAction::Unset("core.autostage".into()), None).is_err());
    assert!(place.get("core.autostage").is_err());
}

#[test]
fn listing_shows_what_counts_and_where_it_stands() {
    let place = Place::new();
    place.set("core.jobs", "2", Level::User).unwrap();
    place.set("core.jobs", "3", Level::Local).unwrap();
    place.set("core.names", "portable", Level::User).unwrap();
    let listed = |level| -> Vec<(String, String)> {
        let report = place.config(ConfigAction::List, level).unwrap();
        report.values.into_iter().map(|value| (value.key, value.value)).collect()
    };
    let all = listed(None);
    assert_eq!(all[..2], [("core.jobs".into(), "3".into()), ("core.names".into(), "portable".into())]);
    assert_eq!(listed(Some(Level::User))[0], ("core.jobs".into(), "2".into()));
    let report = place.config(ConfigAction::Get("core.jobs".into()), None).unwrap();
    assert!(report.values[0].origin.ends_with(".mlv/config.local.toml:2"), "{}", report.values[0].origin);
}

#[test]
fn user_configuration_needs_no_project() {
    let mut place = Place::new();
    let outside = tempfile::tempdir().unwrap();
    place.cwd = outside.path().to_path_buf();
    place.set("core.jobs", "2", Level::User).unwrap();
    assert_eq!(place.get("core.jobs").unwrap(), "2");
    for level in [Level::Project, Level::Local] {
        assert_eq!(place.set("core.jobs", "2", level).unwrap_err().kind(), ErrorKind::NotARepository);
    }
    place.remote_at(add("r", "s3://b/k"), Some(Level::User)).unwrap();
    assert_eq!(remote::list(&place.around(), None).unwrap().remotes[0].name, "r");
}

/// Statement 10, fixed: names keep their case.
#[test]
fn remotes_are_added_listed_and_named_as_default() {
    let place = Place::new();
    assert_eq!(remote::show_default(&place.around()).unwrap_err().kind(), ErrorKind::NoRemote);
    let first = RemoteAction::Add { name: "R2".into(), url: "../store".into(), default: true, force: false };
    let report = place.remote(first).unwrap();
    assert!(report.default && report.url.as_deref() == Some("../store"));
    place.remote(add("cloud", "s3://bucket/path")).unwrap();
    let error = place.remote(add("cloud", "s3://other")).unwrap_err();
    assert!(error.hints()[0].text.contains("--force"), "{error}");
    let force = RemoteAction::Add { name: "cloud".into(), url: "s3://o".into(), default: false, force: true };
    place.remote(force).unwrap();
    place.remote(modify("cloud", "endpointurl", Some("https://minio.example"))).unwrap();
    let rows = remote::list(&place.around(), None).unwrap().remotes;
    let shown: Vec<(&str, Option<&str>, bool)> =
        rows.iter().map(|row| (row.name.as_str(), row.url.as_deref(), row.default)).collect();
    assert_eq!(shown, [("R2", Some("../store"), true), ("cloud", Some("s3://o"), false)]);
    place.remote(RemoteAction::Default { name: Some("cloud".into()) }).unwrap();
    assert_eq!(remote::show_default(&place.around()).unwrap().name, "cloud");
    for bad in [
        modify("clouds", "url", Some("x")),
        RemoteAction::Default { name: Some("nosuch".into()) },
        remove("nosuch"),
    ] {
        assert_eq!(place.remote(bad).unwrap_err().kind(), ErrorKind::NoRemote);
    }
    assert_eq!(place.remote(modify("cloud", "endpoint", Some("x"))).unwrap_err().kind(), ErrorKind::Usage);
    place.remote(modify("cloud", "endpointurl", None)).unwrap();
    assert!(place.remote(modify("cloud", "endpointurl", None)).is_err());
    place.remote(RemoteAction::Default { name: None }).unwrap();
    assert!(remote::show_default(&place.around()).is_err());
}

/// Statement 9, fixed: a remote goes from all levels of the project at once.
#[test]
fn removing_a_remote_leaves_nothing_behind() {
    let place = Place::new();
    let before = place.text("config.toml");
    place
        .remote(RemoteAction::Add { name: "r".into(), url: "../s".into(), default: true, force: false })
        .unwrap();
    place.remote_at(modify("r", "secret_access_key", Some("x")), Some(Level::Local)).unwrap();
    let report = place.remote(remove("r")).unwrap();
    assert_eq!(report.files.len(), 2);
    assert_eq!((place.text("config.toml"), place.text("config.local.toml")), (before, String::new()));
    assert!(place.around().repo().unwrap().config().warnings().is_empty());
    place.remote_at(add("r", "s3://b"), Some(Level::User)).unwrap();
    let error = place.remote(remove("r")).unwrap_err();
    assert_eq!(error.hints()[0].text, "mlv remote remove --global r");
    place.remote_at(remove("r"), Some(Level::User)).unwrap();
}

#[test]
fn places_named_from_a_subfolder_are_stored_from_the_root() {
    let mut place = Place::new();
    place.test.write("a/b/x", "");
    place.cwd = place.test.root.join("a/b");
    for (given, stored) in [
        ("../../../store", "../store"),
        ("store", "a/b/store"),
        ("../../store", "store"),
        ("/mnt/store", "/mnt/store"),
        ("s3://b/../k", "s3://b/../k"),
        ("~/store", "~/store"),
        ("../../../../x/./y/", "../../x/y"),
    ] {
        let force = RemoteAction::Add { name: "r".into(), url: given.into(), default: false, force: true };
        place.remote(force).unwrap();
        assert_eq!(place.get("remote.r.url").unwrap(), stored);
    }
}

#[test]
fn credentials_do_not_enter_tracked_files() {
    let place = Place::new();
    let error = place.remote(add("r", "https://me:hunter2@host/x")).unwrap_err();
    assert!(error.hints()[0].text.contains("--local"), "{error}");
    place.remote(add("r", "https://host/x")).unwrap();
    assert!(place.remote(modify("r", "password", Some("hunter2"))).is_err());
    place.remote_at(modify("r", "password", Some("hunter2")), Some(Level::Local)).unwrap();
    assert_eq!(place.get("remote.r.password").unwrap(), "***");
    assert!(!place.text("config.toml").contains("hunter2"));
}

#[test]
fn the_cache_folder_is_shown_and_moved_by_configuration() {
    let mut place = Place::new();
    let dir = |place: &Place, action, level| {
        cache_dir::run(&place.around(), &CacheDirOptions { action, level, dry_run: false })
            .map(|report| report.dir)
    };
    let root = place.test.root.clone();
    assert_eq!(Path::new(&dir(&place, CacheDirAction::Show, None).unwrap()), root.join(".mlv/cache"));
    let outside = CacheDirAction::Set("../../shared".into());
    place.test.write("sub/x", "");
    place.cwd = root.join("sub");
    let error = dir(&place, outside.clone(), None).unwrap_err();
    assert!(error.hints()[0].text.contains("--local"), "{error}");
    let expected = root.parent().unwrap().join("shared");
    assert_eq!(Path::new(&dir(&place, outside, Some(Level::Local)).unwrap()), expected);
    assert_eq!(
        Path::new(&dir(&place, CacheDirAction::Unset, Some(Level::Local)).unwrap()),
        root.join(".mlv/cache")
    );
    assert!(!expected.exists(), "nothing is made");
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::new();
    let before = place.text("config.toml");
    let action = ConfigAction::Set("core.jobs".into(), "4".into());
    let report = config::run(&place.around(), &ConfigOptions { action, level: None, dry_run: true }).unwrap();
    assert!(report.dry_run && report.changed);
    let options = RemoteOptions { action: add("r", "x"), level: None, dry_run: true };
    assert!(remote::run(&place.around(), &options).unwrap().dry_run);
    assert_eq!(place.text("config.toml"), before);
}
