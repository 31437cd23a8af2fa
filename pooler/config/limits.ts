// Bounds that nobody needs to tune, each with its reason. What an operator may want to change is a
// setting (settings.ts). Names end in the unit and Max.

/** Postgres' own MAX_STARTUP_PACKET_LENGTH (libpq/pqcomm.h): what it refuses, no client sends. */
export const startupPacketBytesMax = 10_000

/** NAMEDATALEN - 1: the longest role, database or statement name that Postgres keeps whole. */
export const nameBytesMax = 63

/** A password message: the longest session JWT (8 KB) twice over. */
export const passwordMessageBytesMax = 16 * 1024

/** Settings in one startup packet: drivers send under twenty, and each is SET on servers later. */
export const startupSettingsMax = 100

/** A project ref: one DNS label is 63 bytes, imported ones may be longer; keeps lookup keys short. */
export const refBytesMax = 255
