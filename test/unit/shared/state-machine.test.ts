import { expect, test } from 'vitest'
import { InvariantError } from '../../../shared/assert.ts'
import { StateMachine } from '../../../shared/state-machine.ts'

type Light = 'red' | 'green' | 'off'

const newLight = () =>
  new StateMachine<Light>('light', { red: ['green', 'off'], green: ['red', 'off'], off: [] }, 'red')

test('a move that the table has is made', () => {
  const light = newLight()
  light.moveTo('green')
  expect(light.state).toBe('green')
  expect(light.is('off', 'green')).toBe(true)
  expect(light.is('red')).toBe(false)
})

test('a move that the table lacks breaks an invariant and changes nothing', () => {
  const light = newLight()
  light.moveTo('off')
  expect(light.canMoveTo('red')).toBe(false)
  expect(() => light.moveTo('red')).toThrow(InvariantError)
  expect(() => light.moveTo('red')).toThrow('a light may not go from off to red')
  expect(light.state).toBe('off')
})

test('a state does not follow itself unless the table says so', () => {
  expect(() => newLight().moveTo('red')).toThrow(InvariantError)
})
