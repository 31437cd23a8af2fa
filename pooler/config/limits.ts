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

/** Pairs in a folder of certificates; all are held in memory, some 50 KB each. */
export const certificatePairsMax = 1_000

/** Connections that the kernel holds for us between two turns; it cuts this to its own somaxconn. */
export const acceptBacklogMax = 4_096

/** Open files kept for listeners, metadata, API, logs, auxiliary connections and cancels. */
export const openFilesReserved = 128

/** Below this, shares of the client limit would hinder the first clients of a small pooler. */
export const beforeLoginFloor = 64
