//! Master keys: where they come from, and how they wrap data keys.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{DataKey, SealError};

/// A fingerprint of a master key, by which a wrapped data key names it: eight bytes of SHA-256, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MasterKeyId(pub String);

/// The master keys: the first wraps, all of them unwrap.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    source: Source,
    keys: Arc<RwLock<Vec<(MasterKeyId, DataKey)>>>,
}

#[derive(Debug, Clone)]
enum Source {
    Given,
    File(PathBuf),
}

/// Why there is no usable master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// A key is not 32 bytes in base64.
    #[error("{place}: key {number} is not 32 bytes in base64")]
    Malformed {
        /// The setting or file.
        place: String,
        /// Which of the keys, from 1.
        number: usize,
    },
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Others may read the file.
    #[error("{0}: the key file must not be readable by group or others (chmod 600)")]
    Readable(String),
    /// A data key was wrapped by a key that is not here.
    #[error("the master key {} is not here; add it to the settings", .0.0)]
    Unknown(MasterKeyId),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Keys from the environment are rotated in the environment.
    #[error(
        "the master key comes from the environment: put the new key in front of the old one there \
         (new,old), restart, and run this again"
    )]
    NotAFile,
}

impl MasterKeys {
    /// The keys of a setting: one or several, separated by commas, the current one first.
    pub fn given(setting: &SecretString) -> Result<Self, MasterKeyError> {
        let keys = parse("keys.master_key", setting.expose_secret().split(','))?;
        Ok(Self { source: Source::Given, keys: Arc::new(RwLock::new(keys)) })
    }

    /// The keys of a file, one a line, the current one first. A file that does not exist is made, with a new random
    /// key and mode 0600.
    pub fn file(path: &Path) -> Result<Self, MasterKeyError> {
        if !path.exists() {
            write(path, &[DataKey::random()?])?;
        }
        let keys = read(path)?;
        Ok(Self { source: Source::File(path.to_owned()), keys: Arc::new(RwLock::new(keys)) })
    }

    /// Where the keys come from, for people.
    pub fn describe(&self) -> String {
        match &self.source {
            Source::Given => "the environment (keys.master_key)".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Wraps a data key with the current master key.
    pub fn wrap(
        &self,
        place: &str,
        key: &DataKey,
    ) -> Result<(MasterKeyId, Vec<u8>), MasterKeyError> {
        let (id, master) = self.current();
        Ok((id, master.seal(place, key.bytes())?))
    }

    /// Opens a data key. A key that is not known is looked for in the file again, which another process may have
    /// changed since.
    pub fn unwrap(
        &self,
        place: &str,
        id: &MasterKeyId,
        wrapped: &[u8],
    ) -> Result<DataKey, MasterKeyError> {
        let master = match self.find(id) {
            Some(master) => master,
            None => {
                self.reload()?;
                self.find(id).ok_or_else(|| MasterKeyError::Unknown(id.clone()))?
            }
        };
        Ok(DataKey::from_bytes(&master.open(place, wrapped)?)?)
    }

    /// The id of the key that wraps.
    pub fn current_id(&self) -> MasterKeyId {
        self.current().0
    }

    /// Puts a new random key in front of the file's keys. Running gateways find it when they meet it.
    pub fn add_to_file(&self) -> Result<(), MasterKeyError> {
        let Source::File(path) = &self.source else {
            return Err(MasterKeyError::NotAFile);
        };
        let mut keys = vec![DataKey::random()?];
        keys.extend(read(path)?.into_iter().map(|(_, key)| key));
        write(path, &keys)?;
        self.reload()
    }

    /// Takes every key but the current one out of the file.
    pub fn forget_old(&self) -> Result<(), MasterKeyError> {
        let Source::File(path) = &self.source else {
            return Err(MasterKeyError::NotAFile);
        };
        write(path, &[self.current().1])?;
        self.reload()
    }

    /// Whether keys can be added and forgotten here.
    pub fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    fn current(&self) -> (MasterKeyId, DataKey) {
        let keys = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys[0].clone()
    }

    fn find(&self, id: &MasterKeyId) -> Option<DataKey> {
        let keys = self.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.iter().find(|(known, _)| known == id).map(|(_, key)| key.clone())
    }

    fn reload(&self) -> Result<(), MasterKeyError> {
        if let Source::File(path) = &self.source {
            let keys = read(path)?;
            *self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = keys;
        }
        Ok(())
    }
}

/// At least one key, or an error.
fn parse<'a>(
    place: &str,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<(MasterKeyId, DataKey)>, MasterKeyError> {
    let mut keys = Vec::new();
    for (index, text) in texts.enumerate() {
        let malformed = || MasterKeyError::Malformed { place: place.to_owned(), number: index + 1 };
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| malformed())?);
        let key = DataKey::from_bytes(&bytes).map_err(|_| malformed())?;
        let id = MasterKeyId(hex::encode(&Sha256::digest(key.bytes())[..8]));
        keys.push((id, key));
    }
    if keys.is_empty() {
        return Err(MasterKeyError::Malformed { place: place.to_owned(), number: 1 });
    }
    Ok(keys)
}

fn read(path: &Path) -> Result<Vec<(MasterKeyId, DataKey)>, MasterKeyError> {
    let failed = |error| MasterKeyError::File { path: path.display().to_string(), error };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Readable(path.display().to_string()));
        }
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    parse(&path.display().to_string(), lines)
}

/// Writes beside the file and renames, so that a crash leaves the old keys or the new ones.
fn write(path: &Path, keys: &[DataKey]) -> Result<(), MasterKeyError> {
    use std::io::Write;

    let failed = |error| MasterKeyError::File { path: path.display().to_string(), error };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut text = Zeroizing::new(String::from(
        "# Master keys of this gateway: the first one wraps. Whoever has them can open every credential.\n",
    ));
    for key in keys {
        let line = Zeroizing::new(STANDARD.encode(key.bytes()));
        text.push_str(&line);
        text.push('\n');
    }
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("switchboard-vault-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_key_file_is_made_once_and_is_private() {
        let path = folder("made").join("master.key");
        let first = MasterKeys::file(&path).unwrap().current_id();
        assert_eq!(MasterKeys::file(&path).unwrap().current_id(), first);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(MasterKeys::file(&path), Err(MasterKeyError::Readable(_))));
        }
    }

    #[test]
    fn a_running_gateway_finds_a_new_master_key_when_it_meets_it() {
        let path = folder("rotate").join("master.key");
        let running = MasterKeys::file(&path).unwrap();
        let command = MasterKeys::file(&path).unwrap();
        let data = DataKey::random().unwrap();
        let (old, wrapped) = running.wrap("org", &data).unwrap();

        command.add_to_file().unwrap();
        let (new, rewrapped) = command.wrap("org", &data).unwrap();
        assert_ne!(old, new);
        assert_eq!(running.unwrap("org", &new, &rewrapped).unwrap().bytes(), data.bytes());
        assert_eq!(command.unwrap("org", &old, &wrapped).unwrap().bytes(), data.bytes());

        command.forget_old().unwrap();
        assert!(matches!(command.unwrap("org", &old, &wrapped), Err(MasterKeyError::Unknown(_))));
    }

    #[test]
    fn a_malformed_key_is_named_by_its_place() {
        let error = MasterKeys::given(&"AAAA".into()).unwrap_err();
        assert_eq!(error.to_string(), "keys.master_key: key 1 is not 32 bytes in base64");
    }
}
