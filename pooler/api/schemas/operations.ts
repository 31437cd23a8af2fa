import { z } from 'zod'

export const readinessAnswer = z.object({ message: z.string(), reasons: z.array(z.string()) })

export const metricsText = z.string().describe("Prometheus' text format")
