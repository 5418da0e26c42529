import { defineConfig } from '@playwright/test';
import base from './playwright.config';

/** Pictures and measurements: they are made by hand, and are no tests. */
export default defineConfig(base, {
  testDir: 'reports',
  // Beside what the reports make: this folder is emptied at each start.
  outputDir: 'test-results/reports',
  timeout: 1_200_000,
  reporter: 'list',
});
