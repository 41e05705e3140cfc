//! A process that is killed over and over: what was answered is there, once.
