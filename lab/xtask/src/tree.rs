//! The project's files as the checks see them: every text file below the root, generated folders left out.
//!
//! It walks the folders instead of asking git, so that a file is checked before it is added, and an unpacked archive
//! works too.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Every text file, ordered by path.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// One file with its text.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`: `broker/src/lib.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    /// Reads everything below `root` that is UTF-8.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
                let path = entry?.path();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                // In a second worktree `.git` is a file, and just as little ours.
                if LEFT_OUT.contains(&name.as_str()) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                files.push(File { path, text });
            }
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self { files })
    }

    /// The files with this ending: `rs`, `md`.
    pub(crate) fn with_extension<'tree>(&'tree self, extension: &'tree str) -> impl Iterator<Item = &'tree File> {
        let ending = format!(".{extension}");
        self.files.iter().filter(move |file| file.path.ends_with(&ending))
    }

    /// The file at exactly this path.
    pub(crate) fn at(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

#[cfg(test)]
impl Tree {
    /// A tree drawn by a test: path and text of each file.
    pub(crate) fn drawn(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { files: files.iter().map(file).collect() }
    }
}

/// Folders of generated or recorded bytes, and git's own, wherever they lie.
const LEFT_OUT: &[&str] = &[".git", "target", "artifacts", "corpus", "__pycache__"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_holds_text_in_order_of_path_without_generated_folders() {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in [
            ("b/one.rs", b"one" as &[u8]),
            ("a.md", b"two"),
            ("b/target/three.rs", b"three"),
            (".git/config", b"four"),
            ("b/five.bin", &[0xff, 0xfe]),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let tree = Tree::load(root.path()).unwrap();
        let paths: Vec<_> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a.md", "b/one.rs"]);
        assert_eq!(tree.with_extension("rs").count(), 1);
        assert_eq!(tree.at("a.md").unwrap().text, "two");
    }
}
