//! Requests forged by changing genuine ones: none is accepted.
