//! What can go wrong with the journal: which file, and what to do next.

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the journal could not be opened, read or written. Nothing is half-applied.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the fields are named in the sentences
pub enum StoreError {
    #[error("the disk that holds {} is full; make room, then try again: nothing was lost", file.display())]
    Full { file: PathBuf },
    #[error("{} is in use by another process; is a second ln6d running with this directory?", file.display())]
    Locked { file: PathBuf },
    #[error(
        "{} is damaged ({detail}). It has been left as it is. Copy it and '{}-wal' away, put the newest backup in its \
         place and start again",
        file.display(), file.display()
    )]
    Damaged { file: PathBuf, detail: String },
    #[error("{} is not a whole export ({detail}); nothing was imported. Take another copy of it, or an older export", file.display())]
    ExportDamaged { file: PathBuf, detail: String },
    #[error("{} is not a registry of ln6d, or its first page is damaged; it has been left as it is. Check the directory, or put the newest backup in its place", file.display())]
    Foreign { file: PathBuf },
    #[error(
        "{} was written by a newer ln6d (layout {found}, this one knows up to {known}); it has been left as it is. Install \
         that version or a later one",
        file.display()
    )]
    Newer { file: PathBuf, found: i64, known: i64 },
    #[error("{} cannot be opened or written: {detail}; check its owner and permissions", file.display())]
    Denied { file: PathBuf, detail: String },
    #[error("reading or writing {} failed: {detail}; look at the disk (dmesg, smartctl)", file.display())]
    Io { file: PathBuf, detail: String },
}

impl StoreError {
    /// A stable snake_case word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            StoreError::Full { .. } => "disk_full",
            StoreError::Locked { .. } => "store_locked",
            StoreError::Damaged { .. } => "store_damaged",
            StoreError::ExportDamaged { .. } => "export_damaged",
            StoreError::Foreign { .. } => "store_foreign",
            StoreError::Newer { .. } => "store_newer",
            StoreError::Denied { .. } => "store_denied",
            StoreError::Io { .. } => "store_failed",
        }
    }

    pub(crate) fn damaged(file: &Path, detail: impl ToString) -> Self {
        StoreError::Damaged { file: file.to_owned(), detail: detail.to_string() }
    }

    /// What went wrong while reading lines back; one that makes no sense is damage.
    pub(crate) fn read(file: &Path, error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::FromSqlConversionFailure(_, _, detail) => StoreError::damaged(file, detail),
            error => StoreError::of(file, error),
        }
    }

    pub(crate) fn of(file: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let (file, detail) = (file.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => StoreError::Full { file },
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => StoreError::Locked { file },
            Some(Code::DatabaseCorrupt) => StoreError::Damaged { file, detail },
            Some(Code::NotADatabase) => StoreError::Foreign { file },
            Some(Code::CannotOpen | Code::PermissionDenied | Code::ReadOnly) => {
                StoreError::Denied { file, detail }
            }
            _ => StoreError::Io { file, detail },
        }
    }
}
