// Reads a running Latchkey's /metrics, as far as a scenario asks.

export class LatchkeyMetrics {
  readonly #samples: readonly (readonly [name: string, labels: string, value: number])[]

  private constructor(text: string) {
    this.#samples = text.split('\n').flatMap((line) => {
      const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      return name === undefined ? [] : [[name, labels, Number(value)] as const]
    })
  }

  static async read(apiUrl: string): Promise<LatchkeyMetrics> {
    const response = await fetch(`${apiUrl}/metrics`)
    if (!response.ok) throw new Error(`/metrics: ${response.status}`)
    return new LatchkeyMetrics(await response.text())
  }

  /** Over all series of the name that have one of the given label texts (`state="idle"`), or over all. */
  sum(name: string, ...labelTexts: string[]): number {
    return this.#samples
      .filter(
        ([each, labels]) =>
          each === name &&
          (labelTexts.length === 0 || labelTexts.some((text) => labels.includes(text))),
      )
      .reduce((sum, [, , value]) => sum + value, 0)
  }

  /** The series of a name, as they stand there, that are not 0. */
  present(name: string): Record<string, number> {
    const found = this.#samples.filter(([each, , value]) => each === name && value !== 0)
    return Object.fromEntries(found.map(([, labels, value]) => [labels, value]))
  }
}
