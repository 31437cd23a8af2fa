// Turns whatever a route threw into an answer. A failure of ours is told by id only; the log has
// the rest under the same id.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { PoolerError } from '../../shared/errors.ts'
import { newReportId } from '../../shared/ids.ts'
import { type RefusalKind, StoreRefusal } from '../store/store-refusal.ts'
import type { ApiDeps } from './api-deps.ts'
import { ApiError } from './api-error.ts'

export interface FieldFault {
  /** Dotted path of the field; empty for the whole body. */
  readonly field: string
  readonly message: string
  /** What was given there, as JSON; null: nothing, something long, or something secret. */
  readonly given: string | null
}

interface Answer {
  readonly status: number
  readonly message: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

export type ErrorHandler = (
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply>

type ErrorDeps = Pick<ApiDeps, 'log' | 'isMetadataReachable'>

const statusOfRefusal: Readonly<Record<RefusalKind, number>> = {
  invalid: 400,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  precondition_failed: 412,
}

/** For /v1 and all that has no form of its own: `{"message": "…"}`. */
export function messageAnswers(deps: ErrorDeps): ErrorHandler {
  return async (error, request, reply) => {
    const answer = await answerOf(error, request, deps)
    return reply
      .code(answer.status)
      .headers(answer.headers ?? {})
      .send({ message: answer.message, ...answer.body })
  }
}

/** For /api/tenants: `{"errors": {field: [...]}}` with 422 for a bad body, else `{"error": "…"}`. */
export function supavisorAnswers(deps: ErrorDeps): ErrorHandler {
  return async (error, request, reply) => {
    const faults = faultsOf(error, request)
    if (faults !== null) return reply.code(422).send({ errors: byField(faults) })
    const answer = await answerOf(error, request, deps)
    const isWhole = answer.body !== undefined && 'errors' in answer.body
    return reply.code(answer.status).send(isWhole ? answer.body : { error: answer.message })
  }
}

async function answerOf(error: unknown, request: FastifyRequest, deps: ErrorDeps): Promise<Answer> {
  if (error instanceof ApiError) {
    const { statusCode: status, message, body, headers } = error
    return { status, message, body, headers }
  }
  if (error instanceof StoreRefusal) {
    return { status: statusOfRefusal[error.kind], message: error.message }
  }
  if (error instanceof PoolerError && error.row.httpStatus !== 500) {
    const hint = error.hint === null ? {} : { hint: error.hint }
    return { status: error.row.httpStatus, message: error.message, body: hint }
  }
  const faults = faultsOf(error, request)
  if (faults !== null) return { status: 400, message: faults.map(printFault).join('; ') }
  const status = (error as Partial<FastifyError>).statusCode ?? 500
  if (status >= 400 && status < 500) return { status, message: (error as Error).message }
  return failureOf(error, request, deps)
}

/** Metadata that are away fail in many forms, so they are asked, not the error's text. */
async function failureOf(
  error: unknown,
  request: FastifyRequest,
  deps: ErrorDeps,
): Promise<Answer> {
  const fields = { err: error, reportId: newReportId(), route: request.routeOptions.url }
  if (await deps.isMetadataReachable()) {
    deps.log.error(fields, 'api request failed')
    return { status: 500, message: `internal error ${fields.reportId}` }
  }
  deps.log.warn(fields, 'api request failed: metadata unreachable')
  return {
    status: 503,
    message: 'the metadata cannot be reached right now; try again in a few seconds',
    headers: { 'retry-after': '5' },
  }
}

/** What zod found wrong with the request; null for any other error. At most a handful is told. */
function faultsOf(error: unknown, request: FastifyRequest): readonly FieldFault[] | null {
  if (!hasZodFastifySchemaValidationErrors(error)) return null
  return error.validation.slice(0, 10).map((fault) => ({
    field: fault.instancePath.replace(/^\//, '').replaceAll('/', '.'),
    message: fault.message ?? 'is invalid',
    given: givenAt(request, error.validationContext, fault.instancePath),
  }))
}

function printFault({ field, message, given }: FieldFault): string {
  const told = field === '' ? message : `${field}: ${message}`
  return given === null ? told : `${told} (given: ${given})`
}

const givenCharactersMax = 80
const secretField = /password|token|secret|_ca$|auth_query/i

function givenAt(
  request: FastifyRequest,
  context: string | undefined,
  instancePath: string,
): string | null {
  if (secretField.test(instancePath)) return null
  const parts: Record<string, unknown> = {
    body: request.body,
    params: request.params,
    querystring: request.query,
  }
  let value = parts[context ?? '']
  for (const key of instancePath.split('/').filter((part) => part !== '')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null
    value = (value as Record<string, unknown>)[key]
  }
  if (value === undefined || (typeof value === 'object' && value !== null)) return null
  const text = JSON.stringify(value)
  return text.length > givenCharactersMax ? null : text
}

function byField(faults: readonly FieldFault[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {}
  for (const fault of faults) {
    const field = fault.field.replace(/^tenant\./, '') || 'body'
    fields[field] = [...(fields[field] ?? []), fault.message]
  }
  return fields
}
