import js from '@eslint/js';
import hooks from 'eslint-plugin-react-hooks';
import { defineConfig, globalIgnores } from 'eslint/config';
import typescript from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['dist', 'test-results', 'src/api/schema.d.ts']),
  js.configs.recommended,
  typescript.configs.strictTypeChecked,
  typescript.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true },
    },
    rules: {
      // A number in a text is its decimal digits, everywhere that this code prints one.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `<Button onClick={() => mutate()}>` says what it does.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['scripts/**'],
    ...typescript.configs.disableTypeChecked,
  },
  {
    files: ['scripts/**'],
    // The compiler knows Node's names.
    rules: { 'no-undef': 'off' },
  },
  {
    files: ['src/**'],
    ...hooks.configs.flat['recommended-latest'],
  },
);
