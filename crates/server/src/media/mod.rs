//! The media store: a folder of this machine's, or object storage that several replicas share.

mod folder;
mod object_storage;
mod transport;

use std::sync::Arc;

use domain::egress::Egress;
use domain::media::MediaStore;

use crate::config::{Media, MediaPlace};
use crate::data_dir::DataDir;
use folder::Folder;
use object_storage::ObjectStorage;

/// Opens the store that the configuration names. Object storage is reached through `egress`; that it is
/// there turns out at the first request.
pub fn open(
    config: &Media,
    data_dir: &DataDir,
    egress: Arc<dyn Egress>,
) -> anyhow::Result<Arc<dyn MediaStore>> {
    Ok(match &config.place {
        MediaPlace::Local => Arc::new(Folder::new(data_dir.media())),
        MediaPlace::S3(bucket) => Arc::new(ObjectStorage::new(bucket, egress)?),
    })
}
