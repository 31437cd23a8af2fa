// Inputs with their label, hint and fault tied to them for screen readers.
import { useId } from 'preact/hooks'
import type { ExpiryChoice } from '../expiry.ts'
import { html, type Shown } from '../html.ts'
import { readTypedNetworks } from '../networks.ts'

export interface FieldProps {
  readonly label: string
  readonly value: string
  readonly onValue: (value: string) => void
  readonly hint?: Shown
  readonly fault?: string | null
  readonly type?: string
  readonly isRequired?: boolean
  readonly rows?: number
  readonly options?: readonly (readonly [value: string, label: string])[]
  readonly more?: Readonly<Record<string, unknown>>
}

/** An input; a select where there are options, a textarea where there are rows. */
export function Field(props: FieldProps) {
  const { label, value, onValue, hint, fault = null, type = 'text', options, rows } = props
  const id = useId()
  const shared = {
    id,
    value,
    required: props.isRequired === true,
    'aria-invalid': fault === null ? undefined : 'true',
    'aria-describedby': `${id}-hint ${id}-fault`,
    onInput: (event: Event) => onValue((event.target as HTMLInputElement).value),
    ...props.more,
  }
  const input = () => {
    if (options !== undefined) {
      return html`<select ...${shared}>
        ${options.map(([one, text]) => html`<option key=${one} value=${one} selected=${one === value}>${text}</option>`)}
      </select>`
    }
    if (rows !== undefined)
      return html`<textarea rows=${rows} spellcheck=${false} ...${shared}></textarea>`
    return html`<input type=${type} ...${shared} />`
  }
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${input()}
    <p class="hint" id=${`${id}-hint`}>${hint}</p>
    <p class="fault" id=${`${id}-fault`} aria-live="polite">${fault}</p>
  </div>`
}

export function NetworksField(props: {
  value: string
  onValue: (value: string) => void
  label?: string
  hint?: Shown
}) {
  const { value, onValue, label = 'Only from these addresses', hint } = props
  const { v4, v6, faults } = readTypedNetworks(value)
  const fault = faults.map((one) => `${one.text} ${one.fault}`).join('; ')
  const oneFamily = v4.length > 0 === v6.length > 0 ? null : v4.length > 0 ? 'IPv6' : 'IPv4'
  const usual = 'IPv4 or IPv6 ranges such as 203.0.113.0/24, one a line. Empty: from anywhere.'
  return html`<${Field} label=${label} value=${value} onValue=${onValue} rows=${3}
    fault=${fault === '' ? null : fault}
    hint=${html`${hint ?? usual}${oneFamily !== null && html` <strong>Every ${oneFamily} address is refused then.</strong>`}`}
    more=${{ placeholder: '203.0.113.0/24\n2001:db8::/32' }} />`
}

export interface ExpiryFieldProps {
  readonly presets: readonly (readonly [label: string, seconds: number])[]
  readonly choice: ExpiryChoice
  readonly onChoice: (choice: ExpiryChoice) => void
  readonly fault: string | null
}

export function ExpiryField({ presets, choice, onChoice, fault }: ExpiryFieldProps) {
  const name = useId()
  const options: readonly (readonly [string, string])[] = [
    ...presets.map(([label, seconds]) => [label, String(seconds)] as const),
    ['Until…', 'custom'],
    ['No end', 'never'],
  ]
  return html`<fieldset class="field">
    <legend>Ends after</legend>
    <div class="chips">
      ${options.map(
        ([label, preset]) => html`<label class="chip" key=${preset}>
          <input type="radio" name=${name} value=${preset} checked=${choice.preset === preset}
            onChange=${() => onChoice({ ...choice, preset })} />
          <span>${label}</span>
        </label>`,
      )}
    </div>
    ${
      choice.preset === 'custom' &&
      html`<${Field} label="Date and time" type="datetime-local" value=${choice.custom}
      onValue=${(custom: string) => onChoice({ ...choice, custom })} fault=${fault}
      hint=${Intl.DateTimeFormat().resolvedOptions().timeZone} />`
    }
    ${choice.preset === 'never' && html`<p class="hint">It holds until somebody ends it.</p>`}
  </fieldset>`
}

export interface CheckProps {
  readonly label: Shown
  readonly hint?: Shown
  readonly isChecked: boolean
  readonly isDisabled?: boolean
  readonly onCheck: (isChecked: boolean) => void
}

export function Check({ label, hint, isChecked, isDisabled = false, onCheck }: CheckProps) {
  const id = useId()
  return html`<div class="check">
    <input type="checkbox" id=${id} checked=${isChecked} disabled=${isDisabled}
      aria-describedby=${`${id}-hint`}
      onChange=${(event: Event) => onCheck((event.target as HTMLInputElement).checked)} />
    <div><label for=${id}>${label}</label><p class="hint" id=${`${id}-hint`}>${hint}</p></div>
  </div>`
}
