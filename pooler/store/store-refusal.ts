// What a store answers when a guard forbids a change. Nothing was changed then; the text is for
// the person who asked.

export type RefusalKind = 'invalid' | 'forbidden' | 'not_found' | 'conflict' | 'precondition_failed'

export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal'
  readonly kind: RefusalKind

  constructor(kind: RefusalKind, text: string) {
    super(text)
    this.kind = kind
  }
}
