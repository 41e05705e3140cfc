//! A disk that fills up and is emptied again: nothing is lost, and nothing needs a restart.
