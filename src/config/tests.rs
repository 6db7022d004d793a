//! Layers, refusals and edits, on files in folders of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::error::{Advice, ErrorKind};
use crate::fs::lock::Patience;

/// A folder for each level.
struct Layers {
    _temp: tempfile::TempDir,
    sources: Sources,
}

impl Layers {
    fn new() -> Layers {
        let temp = tempfile::tempdir().unwrap();
        let folder = |name: &str| -> Option<PathBuf> {
            let path = temp.path().join(name);
            fs::create_dir(&path).unwrap();
            Some(path)
        };
        let sources = Sources {
            system: folder("system"),
            user: folder("user"),
            project: folder("project"),
            ..Sources::default()
        };
        Layers { _temp: temp, sources }
    }

    fn path(&self, level: Level) -> PathBuf {
        let (folder, name) = self.sources.place_of(level).unwrap();
        folder.join(name)
    }

    fn write(&self, level: Level, text: impl AsRef<[u8]>) -> &Layers {
        fs::write(self.path(level), text).unwrap();
        self
    }

    fn text(&self, level: Level) -> String {
        fs::read_to_string(self.path(level)).unwrap()
    }

    fn load(&self) -> Config {
        Config::load(&self.sources).unwrap()
    }

    fn file(&self, level: Level) -> ConfigFile {
        ConfigFile::of(&self.sources, level).unwrap()
    }

    fn edit(&self, level: Level, edits: Vec<Edit>) -> bool {
        apply(&[(self.file(level), edits)], &Patience::NONE).unwrap()[0]
    }

    fn set(&self, level: Level, key: &str, text: &str) -> Result<bool, Error> {
        let key = Key::parse(key)?;
        let value = self.file(level).check(&key, text)?;
        Ok(apply(&[(self.file(level), vec![Edit::Set(key, value)])], &Patience::NONE)?[0])
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

#[test]
fn later_layers_win_key_by_key_and_every_value_knows_its_place() {
    let mut layers = Layers::new();
    layers
        .write(Level::System, "[core]\nremote = \"s\"\njobs = 2\n")
        .write(Level::User, "[core]\nremote = \"u\"\nchecksum_jobs = \"3\"\n")
        .write(
            Level::Project,
            "[remote.Store]\nurl = \"../store\"\n[core]\nremote = \"p\"\nautostage = true\n",
        )
        .write(Level::Local, "\u{feff}# mine\r\n[remote.Store]\r\nprofile = \"dev\"\r\n");
    let config = layers.load();
    assert_eq!(config.default_remote().unwrap().unwrap(), "p");
    assert_eq!((config.jobs().unwrap(), config.checksum_jobs().unwrap()), (Some(2), Some(3)));
    assert!(config.autostage().unwrap() && !config.no_scm().unwrap());
    let origin = config.get(&key("remote.Store.profile")).unwrap().origin();
    assert_eq!(origin.to_string(), format!("{}:3", layers.path(Level::Local).display()));
    let remote = config.remote(Some("Store")).unwrap();
    assert_eq!((remote.url(), remote.options.len()), ("../store", 1));
    assert!(config.warnings().is_empty());

    layers.sources.environment = vec![
        ("MLV_CORE_REMOTE".into(), "e".into()),
        ("MLV_CACHE_DIR".into(), "/c".into()),
        ("MLV_CORE_JOBS".into(), "".into()),
    ];
    layers.sources.flags = vec![(key("core.checksum_jobs"), "7".into())];
    let config = layers.load();
    assert_eq!(config.default_remote().unwrap().unwrap(), "e");
    assert_eq!(config.get(&key("core.remote")).unwrap().origin().to_string(), "MLV_CORE_REMOTE");
    assert_eq!(config.cache_dir().unwrap().unwrap().0, Path::new("/c"));
    assert_eq!((config.jobs().unwrap(), config.checksum_jobs().unwrap()), (Some(2), Some(7)));
    let values: Vec<Level> = config.entries().iter().map(|entry| entry.origin().level()).collect();
    assert!(values.is_sorted(), "weaker values are listed too, in order");
}

#[test]
fn unknown_keys_and_bad_values_warn_and_stop_nothing_else() {
    let layers = Layers::new();
    layers.write(
        Level::Project,
        "typo = 1\n[core]\nremot = 'a'\njobs = -3\nremote = 'r'\n[remote]\nx = 3\n[remote.r]\nurl = 'u'\nzzz.a = 1\nport = 0\n\
         [cache]\ntype = ['reflink', 'teleport']\n[[remote.list]]\nurl = 'x'\n",
    );
    let config = layers.load();
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    let path = layers.path(Level::Project);
    let expected = [
        "1: unknown key `typo`",
        "3: unknown key `core.remot`",
        "4: `core.jobs` must be a whole number from 1 to 1024",
        "7: unknown key `remote.x`",
        "10: unknown key `remote.r.zzz`",
        "11: `remote.r.port` must be a whole number from 1 to 65535",
        "13: `cache.type` must be `reflink`, `hardlink`, `symlink` or `copy`",
        "14: unknown key `remote.list`",
    ];
    let expected: Vec<String> = expected.iter().map(|line| format!("{}:{line}", path.display())).collect();
    assert_eq!(warnings, expected);
    assert_eq!(config.default_remote().unwrap().unwrap(), "r");
    for error in
        [config.jobs().unwrap_err(), config.remote(None).err().unwrap(), config.link_types().unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }
}

#[test]
fn broken_files_name_the_place_and_show_no_line() {
    let layers = Layers::new();
    layers.write(Level::Local, "[remote.a]\nurl = \"x\"\nsecret_access_key = hunter2\n");
    let Err(error) = Config::load(&layers.sources) else { panic!() };
    assert!(
        error.to_string().starts_with(&format!("{}:3:21: ", layers.path(Level::Local).display())),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"), "R12");
    for bad in [b"a = 1\na = 2\n".to_vec(), b"\n\xff\xfe".to_vec(), vec![b'#'; 1 << 21], b"a = \"".repeat(9)]
    {
        layers.write(Level::Local, bad);
        assert!(Config::load(&layers.sources).is_err());
    }
    layers.write(Level::Local, format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(Config::load(&layers.sources).is_err(), "R13: nesting has a limit");
    fs::remove_file(layers.path(Level::Local)).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", layers.path(Level::Local)).unwrap();
    let error = Config::load(&layers.sources).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsafePath, "R3: {error}");
}

/// R3, R11, R12: what a tracked file may not say, with the remedy.
#[test]
fn tracked_files_cannot_weaken_the_user() {
    let cases = [
        ("remote.r.url", "https://me:hunter2@host/x", true),
        ("remote.r.url", "https://token@host/x", true),
        ("remote.r.url", "ssh://me@host/x", false),
        ("remote.r.url", "s3://bucket/${HOME}", true),
        ("remote.r.url", "s3://bucket/${MLV_VAR_TEAM}", false),
        ("remote.r.url", "/mnt/share", false),
        ("remote.r.secret_access_key", "x", true),
        ("remote.r.ssl_verify", "evil.pem", true),
        ("remote.r.ssl_verify", "false", true),
        ("cache.dir", "/tmp/cache", true),
        ("cache.dir", "../cache", true),
        ("cache.dir", "a/../../cache", true),
        ("cache.dir", "~/cache", true),
        ("cache.dir", ".git/cache", true),
        ("cache.dir", "${MLV_VAR_X}", true),
        ("cache.dir", ".mlv/elsewhere", false),
        ("cache.dir", "sub/cache", false),
    ];
    for (name, value, is_refused) in cases {
        let layers = Layers::new();
        let section = name.rsplit_once('.').unwrap();
        layers.write(Level::Project, format!("[{}]\n{} = '{value}'\n", section.0, section.1));
        let config = layers.load();
        let found = config.get(&key(name)).unwrap().shown();
        assert_eq!(found.is_err(), is_refused, "{name} = {value}");
        assert_eq!(config.warnings().len(), usize::from(is_refused));
        let set = layers.set(Level::Project, name, value);
        assert_eq!(set.is_err(), is_refused, "{name} = {value}");
        for error in [found.err(), set.err()].into_iter().flatten() {
            assert!(error.hints()[0].text.contains("--local"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
        assert!(layers.set(Level::Local, name, value).unwrap(), "the user may");
        assert!(layers.load().get(&key(name)).unwrap().shown().is_ok());
    }
}

#[test]
fn secrets_are_never_shown() {
    let layers = Layers::new();
    layers.set(Level::Local, "remote.r.url", "https://me:hunter2@host/x").unwrap();
    layers.set(Level::Local, "remote.r.password", "hunter2").unwrap();
    let config = layers.load();
    let shown: Vec<String> = config.entries().iter().map(|entry| entry.shown().unwrap()).collect();
    assert_eq!(shown, ["https://me:***@host/x", "***"]);
    let remote = config.remote(Some("r")).unwrap();
    assert_eq!(remote.shown_url(), "https://me:***@host/x");
    assert_eq!(remote.url(), "https://me:hunter2@host/x");
    assert!(matches!(&remote.options[0].value, OptionValue::Secret(secret) if secret.expose() == "hunter2"));
    let mode = fs::metadata(layers.path(Level::Local)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn variables_expand_where_they_may() {
    let layers = Layers::new();
    let home = std::env::var("HOME").unwrap_or_default();
    layers.set(Level::User, "cache.dir", "${HOME}/c").unwrap();
    layers.set(Level::Local, "remote.r.url", "~/store").unwrap();
    layers.set(Level::Local, "remote.r.region", "${MLV_SURELY_NOT_SET}").unwrap();
    let config = layers.load();
    assert_eq!(config.cache_dir().unwrap().unwrap().0, Path::new(&format!("{home}/c")));
    assert_eq!(config.entries()[0].shown().unwrap(), "${HOME}/c");
    let error = config.remote(Some("r")).err().unwrap();
    assert!(
        matches!(&error, Error::UnsetVariable { variable, .. } if variable == "MLV_SURELY_NOT_SET"),
        "{error}"
    );
}

#[test]
fn edits_keep_comments_order_and_spelling() {
    let layers = Layers::new();
    let before = "# ours\n[core]\nremote = 'a' # the one\n\n[remote.a]\nurl='x'   # place\n\n# end\n";
    layers.write(Level::Project, before);
    assert!(layers.set(Level::Project, "core.jobs", "4").is_ok());
    assert!(layers.set(Level::Project, "core.remote", "b").unwrap());
    assert!(layers.set(Level::Project, "remote.B.2.url", "../s").unwrap());
    assert!(layers.set(Level::Project, "cache.type", "hardlink, copy").unwrap());
    let text = layers.text(Level::Project);
    for kept in ["# ours\n[core]\nremote = \"b\" # the one\njobs = 4\n", "url='x'   # place\n", "# end\n"] {
        assert!(text.contains(kept), "{text}");
    }
    assert!(text.contains("[remote.\"B.2\"]\nurl = \"../s\"\n"), "{text}");
    assert!(text.contains("type = [\"hardlink\", \"copy\"]"), "{text}");
    let config = layers.load();
    assert_eq!(config.remote_names(), ["B.2", "a"]);
    assert_eq!(config.link_types().unwrap(), ["hardlink", "copy"]);
    assert!(layers.edit(
        Level::Project,
        vec![Edit::Unset(key("core.jobs")), Edit::RemoveRemote("B.2".into()), Edit::Unset(key("cache.type"))]
    ));
    assert_eq!(layers.text(Level::Project), before.replace("'a'", "\"b\""));
    assert!(
        !layers.edit(Level::Project, vec![Edit::Unset(key("core.jobs"))]),
        "nothing to do, nothing written"
    );
}

#[test]
fn every_way_to_write_a_table_can_be_edited() {
    for before in [
        "remote = { a = { url = 'x' } }\ncore = { jobs = 2 }\n",
        "remote.a.url = 'x'\ncore.jobs = 2\n",
        "[remote]\na.url = 'x'\n[core]\njobs = 2\n",
        "[remote.a]\nurl = 'x'\n\n[core]\njobs = 2",
        "core = 3\n[remote.a]\nurl = 'x'\n",
    ] {
        let layers = Layers::new();
        layers.write(Level::Local, before);
        for (name, value) in
            [("remote.a.url", "y"), ("remote.b.url", "z"), ("core.jobs", "3"), ("cache.dir", "/c")]
        {
            layers.set(Level::Local, name, value).unwrap();
            assert_eq!(layers.load().get(&key(name)).unwrap().shown().unwrap(), value, "{before}");
        }
        let config = layers.load();
        assert_eq!(config.remote_names(), ["a", "b"], "{}", layers.text(Level::Local));
        assert!(config.warnings().is_empty(), "{}", layers.text(Level::Local));
        layers.edit(Level::Local, vec![Edit::RemoveRemote("a".into()), Edit::Unset(key("core.jobs"))]);
        let config = layers.load();
        assert_eq!((config.remote_names(), config.jobs().unwrap()), (vec!["b"], None));
    }
}

#[test]
fn bad_values_and_keys_are_not_set() {
    let layers = Layers::new();
    for (name, value) in [
        ("core.jobs", "-3"),
        ("core.jobs", "many"),
        ("core.autostage", "maybe"),
        ("core.names", "dos"),
        ("core.remote", "a b"),
        ("core.remote", ""),
        ("cache.type", "copy,copy"),
        ("cache.pack_below", "10 parsecs"),
        ("remote.r.url", "a\u{1b}[31m"),
        ("remote.r.url", "${oops"),
    ] {
        let error = layers.set(Level::Local, name, value).unwrap_err();
        assert!(matches!(error, Error::CannotSet { .. }), "{name} = {value}: {error}");
    }
    assert!(matches!(layers.set(Level::Local, "core.nosuch", "1"), Err(Error::UnknownKey { .. })));
    assert!(!layers.path(Level::Local).exists());
    layers.set(Level::Local, "cache.pack_below", "128 KiB").unwrap();
    assert_eq!(layers.load().pack_below().unwrap(), Some(131_072));
}

/// Statement 9 of DVC's behaviours, fixed: a file that cannot be changed leaves the others alone.
#[test]
fn several_files_change_together_or_not_at_all() {
    let layers = Layers::new();
    layers.write(Level::Project, "[remote.r]\nurl = 'x'\n").write(Level::Local, "broken = \n");
    let remove = |level| (layers.file(level), vec![Edit::RemoveRemote("r".into())]);
    assert!(apply(&[remove(Level::Project), remove(Level::Local)], &Patience::NONE).is_err());
    assert_eq!(layers.text(Level::Project), "[remote.r]\nurl = 'x'\n");
    layers.write(Level::Local, "[remote.r]\nprofile = 'p'\n");
    assert_eq!(
        apply(&[remove(Level::Local), remove(Level::Project)], &Patience::NONE).unwrap(),
        [true, true]
    );
    assert_eq!((layers.text(Level::Project), layers.text(Level::Local)), (String::new(), String::new()));
}

#[test]
fn user_files_may_be_links_and_their_folders_missing() {
    let mut layers = Layers::new();
    let user = layers.sources.user.clone().unwrap();
    fs::write(user.join("dotfile"), "[core]\njobs = 2\n").unwrap();
    std::os::unix::fs::symlink("dotfile", layers.path(Level::User)).unwrap();
    assert_eq!(layers.load().jobs().unwrap(), Some(2));
    layers.set(Level::User, "core.jobs", "3").unwrap();
    assert_eq!(fs::read_to_string(user.join("dotfile")).unwrap(), "[core]\njobs = 3\n");
    assert!(layers.path(Level::User).is_symlink());
    layers.sources.user = Some(user.join("new/deep"));
    layers.set(Level::User, "core.jobs", "4").unwrap();
    assert_eq!(layers.load().jobs().unwrap(), Some(4));
}

#[test]
fn newer_projects_are_refused() {
    let layers = Layers::new();
    layers.write(Level::Project, "[project]\nid = 'x'\nversion = 2\n");
    let error = Config::load(&layers.sources).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedVersion);
    assert!(error.to_string().contains(":3: "), "{error}");
}

/// R1: a file is as before or as after, whatever step fails, and never world-readable.
#[test]
fn edits_can_fail_at_any_step() {
    use crate::fs::fault::{Plan, with_plan};
    for at in 1.. {
        let layers = Layers::new();
        layers.set(Level::Local, "core.jobs", "2").unwrap();
        let before = layers.text(Level::Local);
        let (outcome, steps) =
            with_plan(Plan::Fail(at, 28, false), || layers.set(Level::Local, "remote.r.password", "x"));
        let after = layers.text(Level::Local);
        assert!(after == before || after.contains("password"), "{after}");
        assert!(outcome.is_err() || after != before);
        assert_eq!(fs::metadata(layers.path(Level::Local)).unwrap().permissions().mode() & 0o777, 0o600);
        let names = fs::read_dir(layers.sources.project.as_ref().unwrap()).unwrap().count();
        assert_eq!(names, 2, "the file and its lock");
        if at > steps {
            break;
        }
    }
}
