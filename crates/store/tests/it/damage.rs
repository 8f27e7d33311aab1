//! Damage is detected and named, and nothing of a damaged file is served.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bugle_store::sqlite::{Connection, OpenError, StoreError, copy, look_through};
use tempfile::TempDir;

use super::file::Kind;

const PAGE_BYTES: u64 = 4_096;
/// How long a look through a file of a hundred megabytes may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn pages(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").len() / PAGE_BYTES
}

/// A copy of a file, which has no page that holds nothing: to be damaged page by page.
fn dense(path: &Path) -> PathBuf {
    let dense = path.with_extension("dense");
    copy(path, &dense).expect("copied");
    dense
}

/// Overwrites the head of a page, which says what is where in it.
fn damage(path: &Path, page: u64) {
    assert!(page < pages(path), "it has no page {page}");
    let mut file = File::options().write(true).open(path).expect("it is there");
    file.seek(SeekFrom::Start(page * PAGE_BYTES)).expect("it is long enough");
    file.write_all(&[0xa5; 100]).expect("written");
}

fn assert_named(path: &Path, error: &OpenError) {
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains(&path.display().to_string()) && told.contains("restore it from a backup"), "{told}");
}

#[test]
fn damage_to_any_page_of_any_store_is_named_when_it_is_opened() {
    for kind in Kind::ALL {
        let folder = TempDir::new().expect("a folder");
        let sound = kind.make(&folder, 1);
        drop(kind.open(&sound).unwrap_or_else(|error| panic!("{error}")));
        let sound = dense(&sound);
        assert!(pages(&sound) > 5);
        for page in 0..pages(&sound) {
            let path = folder.path().join(format!("damaged-{page}.db"));
            copy(&sound, &path).expect("copied");
            damage(&path, page);
            let Err(error) = kind.open(&path) else { panic!("{kind:?}: damage to page {page} went unnoticed") };
            assert_named(&path, &error);
        }
    }
}

/// Appends what makes a file too large to be looked through before it is used.
fn fill(path: &Path) {
    let filler = "CREATE TABLE filler (x BLOB) STRICT;
        WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1100)
        INSERT INTO filler SELECT zeroblob(64000) FROM n;";
    Connection::open(path).and_then(|connection| connection.execute_batch(filler)).expect("filled");
}

#[test]
fn damage_to_a_large_file_is_found_beside_the_work_and_ends_it() {
    for kind in Kind::ALL {
        let folder = TempDir::new().expect("a folder");
        let path = kind.make(&folder, 1);
        fill(&path);
        let opened = kind.open(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(opened.count().is_ok(), "a large file that is sound serves");
        drop(opened);
        // The last page of the tree over the filler, which nobody reads.
        let inner = (1..pages(&path)).rev().find(|page| is_tree(&path, *page)).expect("there is one");
        damage(&path, inner);
        let opened = match kind.open(&path) {
            Ok(opened) => opened,
            // The look was faster than what opening it wanted of it.
            Err(error) => {
                assert_named(&path, &error);
                continue;
            }
        };
        let began = Instant::now();
        let error = loop {
            match opened.count() {
                Err(error) => break error,
                Ok(_) => assert!(began.elapsed() < PATIENCE, "{kind:?}: the damage went unnoticed"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(matches!(error, StoreError::Corrupt(_)), "{kind:?}: {error}");
        assert!(!error.is_passing());
        assert_eq!(opened.count().err(), Some(error), "and stays so");
    }
}

/// Whether a page is one of a table's tree, and not one of a value too long for it.
fn is_tree(path: &Path, page: u64) -> bool {
    let bytes = fs::read(path).expect("it is read");
    matches!(bytes[(page * PAGE_BYTES) as usize], 0x05 | 0x0d)
}

#[test]
fn what_is_damaged_is_not_copied_as_if_it_were_sound() {
    let folder = TempDir::new().expect("a folder");
    let path = dense(&Kind::Platform.make(&folder, 1));
    for page in 0..pages(&path) {
        let damaged = folder.path().join(format!("damaged-{page}.db"));
        copy(&path, &damaged).expect("copied");
        damage(&damaged, page);
        assert!(look_through(&damaged).is_err(), "page {page}");
        let to = folder.path().join(format!("copy-{page}.db"));
        if copy(&damaged, &to).is_ok() {
            // Only an index was damaged, which a copy makes anew from its table.
            look_through(&to).expect("sound");
        }
    }
}
