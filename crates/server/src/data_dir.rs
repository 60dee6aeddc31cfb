//! The data directory: what a first start puts there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::entropy::Entropy;
use domain::secret::Secret;

/// Where this installation keeps what is its own.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The directory at `path`, made (readable by its owner only) when it is not there.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("the data directory {} cannot be made", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the journal is.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// Where files and generated media lie, unless they lie in object storage.
    pub fn media(&self) -> PathBuf {
        self.0.join("media")
    }

    /// Where the admin key is written.
    pub fn admin_key(&self) -> PathBuf {
        self.0.join("admin.key")
    }

    /// The secret under which key texts are hashed; made at the first start. Several replicas that
    /// share a store share this file too, or set `server.secret`.
    pub fn hash_secret(&self, entropy: &dyn Entropy) -> anyhow::Result<Secret<Vec<u8>>> {
        let path = self.0.join("secret.key");
        match fs::read(&path) {
            Ok(secret) if secret.len() >= 32 => return Ok(Secret::new(secret)),
            Ok(_) => anyhow::bail!("{} is damaged: it has less than 32 bytes", path.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
        let mut secret = vec![0; 32];
        entropy.fill(&mut secret);
        match write_private(&path, &secret, Existing::Keep) {
            Ok(()) => Ok(Secret::new(secret)),
            // Another process was faster: its secret is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.hash_secret(entropy),
            Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
        }
    }

    /// The admin key's text, if it is there.
    pub fn read_admin_key(&self) -> Option<Secret<String>> {
        let text = fs::read_to_string(self.admin_key()).ok()?;
        Some(Secret::new(text.trim().to_owned())).filter(|text| !text.reveal().is_empty())
    }

    /// Writes the admin key's text, readable by its owner only.
    pub fn write_admin_key(&self, text: &Secret<String>) -> anyhow::Result<()> {
        let path = self.admin_key();
        let line = format!("{}\n", text.reveal());
        write_private(&path, line.as_bytes(), Existing::Replace)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

fn write_private(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match existing {
        Existing::Keep => options.create_new(true),
        Existing::Replace => options.create(true).truncate(true),
    };
    options.open(path)?.write_all(content)
}
