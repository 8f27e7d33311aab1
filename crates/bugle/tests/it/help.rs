//! What `--help` says, for every command there is.

use std::path::Path;

use super::program::run;

/// The names below "Commands:".
fn commands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, listed)| listed);
    let names = listed.lines().take_while(|line| line.starts_with("  ")).filter_map(|line| line.split(' ').nth(2));
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// The help of a command, and of all below it.
fn help_of(path: &[&str], pages: &mut Vec<String>) {
    let arguments: Vec<&str> = path.iter().copied().chain(["--help"]).collect();
    let page = run(Path::new("."), &arguments).into_output();
    let inner = commands(&page);
    pages.push(format!("$ bugle {}\n\n{page}", arguments.join(" ")));
    for name in inner {
        let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        help_of(&path, pages);
    }
}

#[test]
fn every_command_explains_itself_as_published() {
    let page = run(Path::new("."), &["--help"]).into_output();
    let top = commands(&page);
    assert!(top.iter().any(|name| name == "up"), "{page}");
    insta::assert_snapshot!("bugle", page);
    for name in top {
        let mut pages = Vec::new();
        help_of(&[&name], &mut pages);
        insta::assert_snapshot!(name.clone(), pages.join("\n\n"));
    }
}

#[test]
fn without_a_command_the_help_is_shown_and_the_status_says_so() {
    let ran = run(Path::new("."), &[]);
    assert_eq!(ran.status, 2);
    assert!(ran.complaint.contains("Usage: bugle"), "{ran:?}");
}
