//! Silent and slow clients: they take no place from those who speak.
