//! How the model's types stand in rows.

use providers::{Channel, DeliveryStatus, Direction};
use sqlx::database::Database;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo};
use sqlx::{Decode, Encode, Type};
use uuid::Uuid;

use super::StoreError;
use crate::model::{
    AccountId, ApiKeyId, CallId, ContactId, DeviceState, IdentityId, InboxId, LeadId, MediaId,
    MediaState, MergeId, MessageId, OrganizationId, QuarantineId, QueueState, Role, RouteId,
    RouteState, UserId, Wish,
};

macro_rules! ids {
    ($($name:ident),+ $(,)?) => {$(
        impl<DB: Database> Type<DB> for $name
        where
            Uuid: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <Uuid as Type<DB>>::type_info()
            }

            fn compatible(info: &DB::TypeInfo) -> bool {
                <Uuid as Type<DB>>::compatible(info)
            }
        }

        impl<'q, DB: Database> Encode<'q, DB> for $name
        where
            Uuid: Encode<'q, DB>,
        {
            fn encode_by_ref(
                &self,
                buffer: &mut <DB as Database>::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                self.0.encode_by_ref(buffer)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $name
        where
            Uuid: Decode<'r, DB>,
        {
            fn decode(value: <DB as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
                Uuid::decode(value).map(Self)
            }
        }

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                Uuid::array_type_info()
            }
        }
    )+};
}

ids!(
    OrganizationId,
    UserId,
    ApiKeyId,
    AccountId,
    RouteId,
    ContactId,
    IdentityId,
    MergeId,
    LeadId,
    MessageId,
    MediaId,
    CallId,
    InboxId,
    QuarantineId,
);

/// Reads a word of ours; a word we do not know is damage.
macro_rules! words {
    ($($function:ident -> $type:ty),+ $(,)?) => {$(
        pub(super) fn $function(word: &str) -> Result<$type, StoreError> {
            <$type>::from_word(word)
                .ok_or_else(|| StoreError::Damaged(format!("{} `{word}`", stringify!($function))))
        }
    )+};
}

words!(
    channel -> Channel,
    direction -> Direction,
    delivery_status -> DeliveryStatus,
    route_state -> RouteState,
    queue_state -> QueueState,
    role -> Role,
    device_state -> DeviceState,
    wish -> Wish,
    media_state -> MediaState,
);
