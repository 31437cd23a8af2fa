// Bounds that nobody needs to tune, each with its reason. What an operator may want to change is a
// setting (settings.ts). Names end in the unit and Max.

/** Postgres' own MAX_STARTUP_PACKET_LENGTH (libpq/pqcomm.h): what it refuses, no client sends. */
export const startupPacketBytesMax = 10_000

/** NAMEDATALEN - 1: the longest role, database or statement name that Postgres keeps whole. */
export const nameBytesMax = 63

/** A password message: the longest session JWT (8 KB) twice over. */
export const passwordMessageBytesMax = 16 * 1024

/** A PROXY header of version 2: addresses, and extensions such as a client certificate's name. */
export const proxyHeaderBytesMax = 4_096

/** Connections whose PROXY header has not come: it is the balancer's first word, and takes no round trip. */
export const proxyHeadersAwaitedMax = 10_000

/** Rows of one table that a worker tells another for the console: some megabytes in one message. */
export const adminRowsToldMax = 20_000

/** Live sessions of a project that a worker tells another: as those rows, a message of megabytes. */
export const sessionsToldMax = 20_000

/** Targets that operators pause, and projects that they disable, by hand. */
export const poolHoldsMax = 1_000

/** A command and what a driver puts around it. */
export const adminMessageBytesMax = 16 * 1024

/** Statements, and portals, of one operator: drivers use one or two. */
export const adminNamesMax = 100

/** Operators at the console at once: people, and a few programs that ask for figures. */
export const adminSessionsMax = 20

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

/** Connections to the metadata: enough for the look-ups of a login storm; processes share a small server. */
export const metadataConnectionsMax = 10

/** Live tokens of one member: a person needs a handful; a loop that makes tokens is stopped here. */
export const tokensPerMemberMax = 200

/** Branches of one project: each has pools of its own on its parent's server; a loop is stopped here. */
export const branchesPerProjectMax = 50

/** Outside identities of one member: a person has one or two providers. */
export const identitiesPerMemberMax = 20

/** JWTs, sessions and identities looked at within seconds: what is pushed out costs one look-up. */
export const sessionsKnownMax = 20_000

/** Answers of outside authorisers of the last seconds, guesses among them. */
export const outsideAnswersMax = 20_000

/** Requests to one identity provider or outside authoriser at once; each may last three seconds. */
export const guardedRequestsPerPlaceMax = 200

/** Connections to one of them: a login storm waits for them instead of opening thousands. */
export const guardedSocketsPerPlaceMax = 32

/** Keys that an identity provider may publish: they have a handful. */
export const providerKeysMax = 100

/** The document they stand in: a hundred RSA keys with their certificates. */
export const providerKeysBytesMax = 512 * 1024

/** What a provider says of itself: some KB, with every algorithm and language that it knows. */
export const providerDocumentBytesMax = 128 * 1024

/** An ID token with all groups of somebody who is in many. */
export const idTokenBytesMax = 32 * 1024

/** That, and an access and a refresh token beside it, which are thrown away. */
export const tokenAnswerBytesMax = 128 * 1024

/** Open invitations of one project, each a row for a week: a team is smaller, a loop is stopped here. */
export const invitationsPerProjectMax = 200

/** Batches of events that wait for their webhook, 50 KB each at most: an hour of a busy day. */
export const eventMessagesQueuedMax = 1000

/** Invitations that wait for their webhook, 1 KB each: more than people write while it is away. */
export const invitationsQueuedMax = 1000

/** Rows of one answer of a list: some hundred KB. */
export const pageRowsMax = 1000

/** Projects in memory, some KB each: as many as one process can have pools for. */
export const tenantsKnownMax = 10_000

/** Names that no project has, each remembered for a moment: a guesser costs one look-up a name, and few of them. */
export const tenantMissesMax = 10_000

/** Tokens used between two writes of their last use; more of them are written by their next use. */
export const tokenUsesMax = 10_000

/** Members of projects whose rules were looked up within seconds. */
export const standingsKnownMax = 10_000

/** People who are in: more than one process has sockets for. */
export const liveSessionsMax = 65_536

/** Logins, ends and changes without a row yet, under 1 KB each: room for the end of all who are in. */
export const auditActsMax = 100_000

/** Logins stop here: whoever is in will end, and that needs the rest of the room. */
export const auditActsForLoginMax = 5000

/** Holds of servers without a row yet, some 300 bytes each: two people in turn on one server make 1,000 a second. */
export const holdsMax = 100_000

/** Logins stop here: those who are in go on to hold servers. */
export const holdsForLoginMax = 20_000

/** Refusals of known tokens without a row yet; more are counted. */
export const auditRefusalsMax = 2000

/** (project, source, reason) that refusals are counted by; more are counted under no source. */
export const auditCountersMax = 1000

/** Projects whose roles are remembered for a minute. */
export const roleFactsProjectsMax = 1000

/** Roles of one database that are looked at: some MB at the most. */
export const roleFactsMax = 5000

/** Tokens looked up within seconds, guesses among them: what is pushed out costs one look-up. */
export const tokensKnownMax = 20_000

/** Bytes taken from a client that waits for a server, before it is not read any more. */
export const pendingBytesMax = 64 * 1024

/** What a client sent before its Terminate may take so long to finish. */
export const finishingMsMax = 5000

/** After a FATAL, so long what still comes is read and thrown away, so that the text arrives. */
export const lingerMs = 1000

/** An unnamed statement's text up to here is kept, to be parsed again on another server. */
export const unnamedTextBytesMax = 16 * 1024

/** Unnamed texts of one client that a server has not confirmed; beyond it the latest is not kept. */
export const unnamedTextsBytesMax = 1024 * 1024

/** A batch up to here is kept until it is known that no statement of it has gone stale. */
export const keptBatchBytesMax = 64 * 1024

/** A text that is prepared is parsed by a server at least this often, whoever else has prepared it. */
export const statementCheckMs = 10_000

/** A named statement up to here is kept and follows its client; a longer one pins the client. */
export const keptTextBytesMax = 256 * 1024

/** The name of a portal or prepared statement: Postgres cuts them at 63 bytes. */
export const statementNameBytesMax = 2048

/** Texts of one client's named statements in all: as many as it may have, at 3 KB each. */
export const clientStatementBytesMax = 16 * 1024 * 1024

/** Settings that one server reports: Postgres has fifteen. Every report costs time that grows with it. */
export const reportedSettingsMax = 100

/** Their names and values: some 500 characters with Postgres, and one long one. */
export const reportedCharactersMax = 64 * 1024

/** One of them, and all of a login: a search_path that is longer is told, and not kept. */
export const reportBytesMax = 32 * 1024

/**
 * NotificationResponse: Postgres takes payloads under 8,000 bytes and channels under 64, which a client's
 * encoding may make four times as long (MAX_CONVERSION_GROWTH).
 */
export const notificationBytesMax = 4 + 4 * (8_000 + nameBytesMax) + 2

/** Connections over the limits that are told so at the same time; those beyond are closed silently. */
export const turnedAwayMax = 64

/** HTTP connections at once, a quarter of one source: they share the open files with clients and servers, and anybody may connect. */
export const apiConnectionsMax = 512

/** Channels of one client that are shared: each server that it gets listens to all of them, at 10 µs each. */
export const sharedChannelsMax = 200

/** What one client has notified and the shared connection has still to repeat: some 50 bytes of memory each. */
export const notificationEchoesMax = 200_000

/** Channels of one shared connection: Postgres compares each new one with all of them. */
export const channelsPerConnectionMax = 5000

/** A session of the identity provider that was logged out here is refused so long, however often it is renewed. */
export const loggedOutMsMin = 30 * 86_400_000

/** Browsers that one person is signed in with; the oldest session goes for a new one. */
export const webSessionsPerMemberMax = 20

/** Pages of one session that are kept up to date: a browser has six connections to one place in all. */
export const liveStreamsPerSessionMax = 4

/** Open pages in all: they share the HTTP connections with everybody else who asks. */
export const liveStreamsMax = 200

/** What one page has not taken yet; it is closed beyond this and comes again. */
export const liveStreamBytesMax = 512 * 1024
