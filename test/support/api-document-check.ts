// Holds each answer of the API against its own OpenAPI document: the status is a documented one, and
// the body has the documented shape.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'

interface Media {
  readonly schema?: object
}

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, Media>> }>
  >
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

export class ApiDocumentCheck {
  readonly #document: ApiDocument
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false })
  readonly #validators = new Map<string, ValidateFunction>()

  constructor(document: ApiDocument) {
    this.#document = document
  }

  /** Of a path that leads nowhere nothing is documented. */
  check(request: InjectOptions, answer: LightMyRequestResponse): void {
    const method = request.method ?? 'GET'
    const path = this.#pathOf(String(request.url ?? request.path).split('?', 1)[0] ?? '')
    const operation = path === null ? undefined : this.#document.paths[path]?.[method.toLowerCase()]
    if (operation === undefined) return
    const { statusCode, body } = answer
    const told = `${method} ${path} answered ${statusCode}: ${body.slice(0, 300)}`
    const documented =
      operation.responses[statusCode] ?? operation.responses[`${Math.floor(statusCode / 100)}XX`]
    expect(documented, `${told}, which is not documented`).toBeDefined()
    const schema = documented?.content?.['application/json']?.schema
    const isJson = /^application\/json\b/.test(String(answer.headers['content-type']))
    if (schema === undefined || body === '' || !isJson) return
    const validate = this.#validatorFor(`${method} ${path} ${statusCode}`, schema)
    const isRight = validate(JSON.parse(body))
    expect(isRight ? null : validate.errors, told).toBeNull()
  }

  /** The one with the fewest parameters, as `list` is no user id. */
  #pathOf(url: string): string | null {
    const fitting = Object.keys(this.#document.paths).filter((path) =>
      new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(url),
    )
    const parameters = (path: string) => path.split('{').length
    return fitting.sort((one, other) => parameters(one) - parameters(other))[0] ?? null
  }

  #validatorFor(key: string, schema: object): ValidateFunction {
    const known = this.#validators.get(key)
    if (known !== undefined) return known
    const made = this.#ajv.compile(schema)
    this.#validators.set(key, made)
    return made
  }
}
