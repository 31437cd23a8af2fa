import htm from 'htm'
import { h, type VNode } from 'preact'

/** What a template may show in a place: nothing, text, a node, or several. */
export type Shown = VNode | string | number | null | undefined | false | readonly Shown[]

/** Markup as a tagged template; values become text or properties and never markup. */
export const html = htm.bind(h) as unknown as (
  strings: TemplateStringsArray,
  ...values: unknown[]
) => VNode
