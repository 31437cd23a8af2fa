// Settings that are treated by their names, all in lower case.
import type { PostgresError } from '../../shared/protocol/error-response.ts'
import { transactionSettings } from './text-verdict.ts'

/** Any client may set them, and a server takes what another one has taken: nobody has to look. */
export const usualSettings: ReadonlySet<string> = new Set(
  `application_name bytea_output client_encoding client_min_messages datestyle default_transaction_deferrable
  default_transaction_isolation default_transaction_read_only enable_bitmapscan enable_hashjoin
  enable_indexscan enable_mergejoin enable_nestloop enable_seqscan extra_float_digits
  idle_in_transaction_session_timeout idle_session_timeout intervalstyle jit lc_monetary lc_numeric
  lc_time lock_timeout maintenance_work_mem max_parallel_workers_per_gather plan_cache_mode quote_all_identifiers
  random_page_cost row_security search_path standard_conforming_strings statement_timeout
  synchronous_commit timezone transaction_timeout work_mem xmloption`.split(/\s+/),
)

/**
 * Nobody has them from its client's SET: they end with their transaction, cannot be told nor put back,
 * or are the server's own, and may not be read by everybody, which would fail the question.
 */
export const unaskedSettings: ReadonlySet<string> = new Set([
  ...transactionSettings,
  'seed',
  ...`config_file data_directory external_pid_file hba_file ident_file jit_provider krb_server_keyfile
  log_directory log_filename oauth_validator_libraries primary_conninfo shared_preload_libraries ssl_ciphers ssl_dh_params_file
  ssl_ecdh_curve ssl_groups ssl_max_protocol_version ssl_min_protocol_version ssl_passphrase_command
  ssl_tls13_ciphers unix_socket_directories`.split(/\s+/),
])

/** A server that has had temporary tables refuses it, reset or not. */
const boundToPast = 'temp_buffers'

/** A new server would take it. In any language: the detail names it, and a value that none takes has no detail. */
export const isForItsPast = ({ fields }: PostgresError): boolean =>
  fields.sqlState === '22023' && fields.detail?.includes(boundToPast) === true
