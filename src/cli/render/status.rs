//! The text of `status` and of its parts.

use serde_json::Value;

use crate::cli::render::{Viewpoint, count, thousands};
use crate::cli::ui::Text;
use crate::ops::compare::ChangeCounts;
use crate::ops::remote_status::{Unequal, Whereabouts};
use crate::ops::status::{Differences, Makers, Partial, StatusReport};

/// All parts that have something to say.
pub(crate) fn status(report: &StatusReport, view: &Viewpoint, out: &mut Text) {
    if !report.stages.is_empty() {
        out.strong("Stages that would run again").put(" (mlv repro):").end();
        for (stage, changes) in &report.stages {
            out.put("  ").name(stage).put(": ");
            out.put(changes.iter().map(|change| reason(change, view)).collect::<Vec<_>>().join("; ")).end();
        }
    }
    data(report, view, out);
    // What is still of another commit comes with the rest of this one's.
    let lacking = report.cache.iter().filter(|partial| !report.data.not_checked_out.contains(&partial.path));
    for (at, partial) in lacking.enumerate() {
        if at == 0 {
            let can_come = report.cache.iter().any(|partial| partial.cached || !partial.private);
            out.strong("Not here").put(if can_come { " (mlv pull):" } else { ":" }).end();
        }
        let by = by_name(report, &partial.path, view);
        not_here(partial, &by, out.put("  ").name(view.path(&partial.path)));
    }
    if !report.unequal.is_empty() {
        out.strong("Beside the remote").put(" (new: mlv push, deleted: mlv fetch):").end();
        for (path, unequal) in &report.unequal {
            beside_remote(path, unequal, view, out);
        }
    }
}

fn beside_remote(path: &str, unequal: &Unequal, view: &Viewpoint, out: &mut Text) {
    let word = match unequal.whereabouts {
        Whereabouts::New => "new",
        Whereabouts::Deleted => "deleted",
        Whereabouts::Missing => "missing",
    };
    out.put(format!("  {word}: ")).name(view.path(path));
    if path.ends_with('/') {
        out.put(format!(" ({} of {})", thousands(unequal.files), count(unequal.total, "file")));
    }
    out.end();
}

/// The data part.
pub(crate) fn data(report: &StatusReport, view: &Viewpoint, out: &mut Text) {
    let data = &report.data;
    differences("Recorded, not committed", "git commit", &data.committed, view, out);
    let mut edited = data.edited.clone();
    let gone = std::mem::take(&mut edited.gone);
    edited.deleted.retain(|path| !gone.contains(path));
    // What is recorded came with git; whether anything was changed here shows once its list is here.
    let newer = std::mem::take(&mut edited.unknown);
    let remedy = match edited.makers {
        // Before the checkout of those all cannot be recorded.
        Makers { stages: false, .. } if !data.not_checked_out.is_empty() => "mlv add",
        Makers { stages: false, .. } => "mlv add, or mlv commit for all",
        Makers { users: false, stages: true } => "mlv repro makes it again, mlv commit keeps it",
        Makers { users: true, stages: true } => "mlv add; what a stage made: mlv repro, or mlv commit",
    };
    differences("Changed, not recorded", remedy, &edited, view, out);
    let mut section = |title: &str, remedy: &str, label: &str, paths: &[String]| {
        if !paths.is_empty() {
            out.strong(title).put(format!(" ({remedy}):")).end();
            for path in paths {
                out.put(format!("  {label}: ")).name(view.path(path)).put(by_name(report, path, view)).end();
            }
        }
    };
    let remedy = "mlv checkout brings it back, mlv remove PATH lets it go";
    section("Deleted here", remedy, "deleted", &gone);
    section(
        "Being made by a stage that runs now",
        "mlv repro waits for it",
        "in the making",
        &data.being_made,
    );
    section("Not what is recorded now, which is not downloaded", "mlv pull", "unknown", &newer);
    let title = "Still of another commit, in whole or in part";
    let (to_pull, to_place) =
        data.not_checked_out.iter().cloned().partition::<Vec<_>, _>(|path| data.to_pull.contains(path));
    section(title, "mlv checkout", "not checked out", &to_place);
    section(title, "mlv pull", "not downloaded", &to_pull);
    section("Recorded, not stored", "mlv commit", "not in cache", &data.not_in_cache);
    let remedy = "git rm -r --cached PATH, then git commit";
    section("Kept by git, too", remedy, "in git", &data.in_git);
    let title = "Not ignored by git, `git add .` would take it";
    section(title, "mlv commit PATH", "not ignored", &data.not_ignored);
    let title = "Ignored by a line of mlv's, tracked by nothing";
    section(title, "mlv add, or take the line out of `.gitignore`", "ignored", &data.only_ignored);
    section("Left to git, which does not have it", "git add PATH", "not in git", &data.not_in_git);
    let title = "Left to git, ignored by a line from when mlv kept it";
    section(title, "mlv commit PATH", "ignored", &data.still_ignored);
    section("Recorded, not on the remote", "mlv push", "not in remote", &data.not_in_remote);
    if !data.unchanged.is_empty() {
        out.strong("Unchanged").put(":").end();
        for path in &data.unchanged {
            out.put("  ").name(view.path(path)).end();
        }
    }
}

fn differences(title: &str, remedy: &str, list: &Differences, view: &Viewpoint, out: &mut Text) {
    if list.is_empty() {
        return;
    }
    out.strong(title).put(format!(" ({remedy}):")).end();
    let groups = [
        ("added", &list.added),
        ("modified", &list.modified),
        ("deleted", &list.deleted),
        ("unknown", &list.unknown),
    ];
    for (word, paths) in groups {
        for path in paths {
            out.put(format!("  {word}: ")).name(view.path(path));
            if let Some(counts) = list.counts.get(path).filter(|_| word == "modified") {
                out.put(format!(" ({})", counted(counts)));
            }
            out.end();
        }
    }
    for renamed in &list.renamed {
        out.put("  renamed: ").name(view.path(&renamed.old)).put(" -> ").name(view.path(&renamed.new)).end();
    }
}

/// `2 added, 1 deleted`.
pub(crate) fn counted(counts: &ChangeCounts) -> String {
    let parts = [
        (counts.added, "added"),
        (counts.modified, "modified"),
        (counts.deleted, "deleted"),
        (counts.renamed, "renamed"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, word)| format!("{} {word}", thousands(*count))).collect::<Vec<_>>().join(", ")
}

/// How to bring what comes by name only; nothing for what comes with the rest.
fn by_name(report: &StatusReport, path: &str, view: &Viewpoint) -> String {
    if !report.by_hand.contains(path) {
        return String::new();
    }
    format!(" (pull: manual, mlv pull {})", view.words(&[path.trim_end_matches('/').to_owned()]))
}

fn not_here(partial: &Partial, by_name: &str, out: &mut Text) {
    let Partial { here, total, cached, private, .. } = partial;
    let (here, total) = (thousands(*here), thousands(*total));
    match (here.as_str(), cached) {
        ("0", true) if !by_name.is_empty() => out.put(": not checked out, in the cache"),
        ("0", true) => out.put(": not checked out, in the cache (mlv checkout)"),
        ("0", false) => out.put(": not downloaded"),
        (_, true) => out.put(format!(": partial: {here} of {total} files here, the rest in the cache")),
        (_, false) => out.put(format!(": partial: {here} of {total} files here")),
    };
    if *private && !cached {
        out.put(", and not shared (push: false)");
    }
    out.put(by_name).end();
}

/// One item of DVC's form on one line.
fn reason(change: &Value, view: &Viewpoint) -> String {
    let Value::Object(groups) = change else {
        return change.as_str().unwrap_or_default().to_owned();
    };
    let mut parts = Vec::new();
    for paths in groups.values().filter_map(Value::as_object) {
        for (path, what) in paths {
            let path = view.path(path);
            match what {
                Value::Object(keys) => {
                    parts.extend(keys.iter().map(|(key, word)| format!("{path}:{key} {}", told(word))));
                }
                word => parts.push(format!("{path} {}", told(word))),
            }
        }
    }
    parts.join(", ")
}

fn told(word: &Value) -> &str {
    match word.as_str().unwrap_or_default() {
        "unknown" => "unknown before `mlv fetch`",
        word => word,
    }
}
